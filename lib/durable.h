#ifndef DURABLE_H
#define DURABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

#include "parallel_fsync.h"

/* Make what was written survive a loss of power, with as few flushes of the disk as
 * possible: some files by an fsync for each at the same time, many by one syncfs of their
 * file system, if that is one whose syncfs is known to be sound. syncfs also pays for
 * what other programs have written there; where that is dearer than an fsync for each
 * file, the next ones are done by fsync, until it has been worth another try. */

struct durable {
    bool is_one_device;      /* the caller promises: all is on one file system, always */
    bool is_each_file;       /* the caller wants one fsync after the other */
    dev_t device;            /* the file system that the figures below are about */
    uint64_t fsync_us;       /* what one fsync takes; 0: not yet measured */
    unsigned int batches;    /* by syncfs, since an fsync was last measured */
    int64_t no_syncfs_until; /* monotonic microseconds */
    struct parallel_fsync parallel;
};

/* Flush every one of these descriptors, files and directories, many at the same time:
 * what comes first on the disk is not said. They stay open.
 * durable  what was learned about cost; begin with all zero (but for the
 *          caller's two), keep it for the next flush
 * fds      open descriptors, on any file systems. One that was opened longest ago comes
 *          first: syncfs reports errors that happened since its descriptor was opened
 * returns  true: all is on the disk, with the data of the files and the entries of the
 *          directories; false with errno: some of it may not be (do not flush again and
 *          believe the second answer: Linux reports an error once).
 * Blocks as long as the disk takes. */
bool durable_flush(struct durable *durable, const int *fds, size_t count);

#endif
