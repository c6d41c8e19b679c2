#ifndef MAIL_FILE_H
#define MAIL_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "mail.h"

/* The files of queue/mess. None stays open: a file that is needed again is found in the
 * cache, and a large queue needs no descriptors. */

enum mail_status {
    MAIL_OK,
    MAIL_GONE,  /* there is no such file */
    MAIL_BUSY,  /* being written by qmail-queued: it will tell */
    MAIL_BAD,   /* no message: to be set aside */
    MAIL_ERROR, /* errno tells: try again later */
};

/* Read queue/mess/<split>/<id> into a new *mail.
 * bytes    see queue_file_read_whole(): message and all, if small */
enum mail_status mail_read(struct mail **mail, uint64_t id, stralloc *bytes);

/* A file found in the directory, while it is checked. */
struct mail_check {
    uint64_t id;
    int fd;
    enum mail_status status;
    int error;      /* errno, with MAIL_ERROR */
    uint64_t bytes; /* the size of the file */
    uint64_t next_try_s;
};

/* Begin to check a file: open it, and have the disk read it while others are opened. */
void mail_check_begin(struct mail_check *check, uint64_t id);

/* Check it, with its checksum; find when it is due; close it. Sets check->status, errno.
 * scratch  memory to reuse
 * bytes    see queue_file_read_whole() */
void mail_check_end(struct mail_check *check, stralloc *scratch, stralloc *bytes);

/* Write to the file: recipients first..first+count-1 in this state become done. */
bool mail_write_done(struct mail *mail, uint32_t first, uint32_t count,
                     enum recipient_state state);

/* The end of a pass: write the header with next try and tries, and have it and what was
 * marked as done on its way to the disk. returns true, or false with errno */
bool mail_write_header(const struct mail *mail);

/* Open the file for reading. returns the descriptor, or -1 with errno */
int mail_open(const struct mail *mail);

/* Remove the file. returns true, or false with errno */
bool mail_unlink(uint64_t id);

/* Move the file, which was found bad, to queue/bad, if qmail-queued has not.
 * returns  true when it has gone; false with errno; EWOULDBLOCK: somebody is writing it,
 *          or has completed it meanwhile */
bool mail_set_aside(uint64_t id);

#endif
