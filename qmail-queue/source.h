#ifndef SOURCE_H
#define SOURCE_H

#include <stdbool.h>
#include <stdint.h>

/* A descriptor that a client hands over to have its bytes copied. */

enum source_status {
    SOURCE_QUICK,   /* in memory: reading cannot wait for anything */
    SOURCE_SLOW,    /* a regular file on a local disk: reading may wait for the disk */
    SOURCE_REFUSED, /* a pipe, a network or FUSE file, too short ...: it could block us
                       for ever, or is not what was promised */
};

/* Judge fd, of which the first len bytes are wanted.
 * trusted_mount  the queue's mount (source_mount), trusted whatever file system it is */
enum source_status source_judge(int fd, uint64_t len, uint64_t trusted_mount);

/* The id of the mount on which fd lies; 0 when it cannot be found. */
uint64_t source_mount(int fd);

#endif
