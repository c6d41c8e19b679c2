#ifndef KEEPER_WORK_H
#define KEEPER_WORK_H

#include <stdbool.h>

#include "handoff.h"
#include "queue_file.h"

/* What the parts of the keeper share. */

struct keeper_work {
    int socket; /* to qmail-queued */
    struct handoff packet;
    struct queue_file file; /* memory to reuse */
    int taking;             /* queue/taking, during a round */
    bool has_found;         /* a message which qmail-send may not know of */
    bool
        is_blocked; /* a file that was taken in could not be removed: never take it twice */
};

/* Move path to queue/bad/<prefix><name> and log it. returns true when it is no longer there */
bool keeper_set_aside(const char *path, const char *prefix, const char *name);

/* Read a file of queue/mess, and compare its checksum. What is torn, and not being written, is
 * set aside. */
enum queue_file_status keeper_read(struct keeper_work *work, int fd, const char *path,
                                   const char *name);

#endif
