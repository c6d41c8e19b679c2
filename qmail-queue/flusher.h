#ifndef FLUSHER_H
#define FLUSHER_H

#include <stdbool.h>
#include <stddef.h>

#include <sys/types.h>

#include "handoff.h"

/* A helper process that waits for the disk, so that qmail-queued need not. */

enum { FLUSHER_FDS_MAX = HANDOFF_FDS_MAX };

struct flusher {
    int socket; /* poll it for reading; non-blocking */
    pid_t pid;
};

/* Fork the helper. It ends when the socket is closed.
 * is_each_file  one fsync for each file, never one flush for several
 * returns  true, or false with errno */
bool flusher_start(struct flusher *flusher, bool is_each_file);

/* Ask for a flush of all these descriptors, files first (the oldest first of all), then
 * directories. One flush at a time.
 * returns  true, or false with errno */
bool flusher_submit(struct flusher *flusher, const int *fds, unsigned int count);

enum flusher_result {
    FLUSHER_WAIT,   /* not finished */
    FLUSHER_DONE,   /* all is on the disk */
    FLUSHER_FAILED, /* errno tells: none of it may be believed to be on the disk */
    FLUSHER_GONE,   /* the helper has died */
};

enum flusher_result flusher_collect(struct flusher *flusher, struct handoff *packet);

#endif
