#ifndef PARALLEL_FSYNC_H
#define PARALLEL_FSYNC_H

#include <stdbool.h>
#include <stddef.h>

/* fsync for several descriptors at the same time. A journalling file system then commits
 * its journal once for all of them; one after the other, each can cost a commit of its
 * own: ext4 commits whatever has happened meanwhile when a directory is flushed. */

struct parallel_fsync {
    unsigned long
        context;     /* of io_setup(2), made when first needed; ends with the process */
    bool is_missing; /* the kernel has none for us: one after the other */
};

/* As fsync for each of these descriptors. Begin with *parallel all zero, keep it for the
 * next time; after a fork the child begins anew.
 * returns  true: all have been flushed; false with errno, of one of those that have not.
 * Blocks as long as the disk takes. */
bool parallel_fsync(struct parallel_fsync *parallel, const int *fds, size_t count);

/* The same, one after the other. */
bool serial_fsync(const int *fds, size_t count);

#endif
