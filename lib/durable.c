#include "durable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include <skalibs/types.h>

#include "clock.h"

enum {
    FEW = 20,               /* descriptors: for so many fsync is always cheaper */
    SAMPLE = FEW,           /* of a batch, by which fsync is measured */
    MEASURE_EVERY = 64,     /* batches between two measurements of fsync */
    DEAR = 2,               /* syncfs may cost this many times its fsyncs: it does more */
    BACK_OFF = 20,          /* a dear syncfs costs at most a twentieth of the time */
    BACK_OFF_MAX = 60000000 /* microseconds */
};

/* Before Linux 5.8 syncfs kept quiet about data that could not be written; before 5.17,
 * about a journal that could not be: sync_filesystem() ignored what ->sync_fs said. */
static bool
syncfs_reports_errors(void)
{
    struct utsname name;
    unsigned int major, minor;
    if (uname(&name) < 0)
        return false;
    size_t len = uint_scan(name.release, &major);
    if (!len || name.release[len] != '.' || !uint_scan(name.release + len + 1, &minor))
        return false;
    return major > 5 || (major == 5 && minor >= 17);
}

/* Elsewhere only fsync does what is promised: syncfs on FUSE asks its server for nothing,
 * and on overlayfs it does not see what could not be written below. */
static bool
has_sound_syncfs(int fd)
{
    struct statfs status;
    if (fstatfs(fd, &status) < 0)
        return false;
    switch ((unsigned long)status.f_type) {
    case EXT4_SUPER_MAGIC:
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case TMPFS_MAGIC:
        return syncfs_reports_errors();
    default:
        return false;
    }
}

static bool
flush_file_system(int fd)
{
    int result;
    do
        result = syncfs(fd);
    while (result < 0 && errno == EINTR);
    return result == 0;
}

/* A moving average, so that one slow flush does not decide. */
static void
learn_fsync(struct durable *durable, int64_t took_us)
{
    uint64_t took = took_us > 0 ? (uint64_t)took_us : 1;
    durable->fsync_us = durable->fsync_us ? (7 * durable->fsync_us + took + 7) / 8 : took;
    durable->batches = 0;
}

static bool
write_data_of(int fd, unsigned int flags)
{
    return sync_file_range(fd, 0, 0, flags) == 0 || errno == EINVAL || errno == ENOSYS ||
           errno == ESPIPE;
}

/* Have the data of all files written: only then can one journal commit cover them all.
 * returns  false with errno; an error is told once, be it that a write could not begin or
 *          how it ended, so it must not be lost here: fsync would then succeed. Where
 *          sync_file_range does not work, fsync does it all. */
static bool
write_data(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!write_data_of(fds[i], SYNC_FILE_RANGE_WRITE))
            return false;
    for (size_t i = 0; i < count; i++)
        if (!write_data_of(fds[i],
                           SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER))
            return false;
    return true;
}

static bool
flush_each(struct durable *durable, const int *fds, size_t count)
{
    int64_t start = clock_monotonic_us();
    if (count > 1 && !write_data(fds, count))
        return false;
    bool ok = durable->is_each_file ? serial_fsync(fds, count)
                                    : parallel_fsync(&durable->parallel, fds, count);
    if (ok)
        learn_fsync(durable, (clock_monotonic_us() - start) / (int64_t)count);
    return ok;
}

static bool
flush_together(struct durable *durable, const int *fds, size_t count)
{
    if ((!durable->fsync_us || ++durable->batches >= MEASURE_EVERY) &&
        !flush_each(durable, fds, count < SAMPLE ? count : SAMPLE))
        return false;
    int64_t start = clock_monotonic_us();
    if (!flush_file_system(fds[0]))
        return false;
    int64_t end = clock_monotonic_us();
    int64_t wait = (end - start) * BACK_OFF;
    if ((uint64_t)(end - start) > DEAR * count * durable->fsync_us)
        durable->no_syncfs_until = end + (wait < BACK_OFF_MAX ? wait : BACK_OFF_MAX);
    return true;
}

/* All of one file system. */
static bool
flush_group(struct durable *durable, const int *fds, size_t count, dev_t device)
{
    if (device != durable->device)
        *durable = (struct durable){.device = device,
                                    .is_each_file = durable->is_each_file,
                                    .parallel = durable->parallel};
    if (count <= FEW || durable->is_each_file ||
        clock_monotonic_us() < durable->no_syncfs_until || !has_sound_syncfs(fds[0]))
        return flush_each(durable, fds, count);
    return flush_together(durable, fds, count);
}

struct place {
    dev_t device;
    bool is_done;
};

/* Flush what lies on the same file system as fds[first]; the order is kept. */
static bool
flush_device_of(struct durable *durable, const int *fds, struct place *places,
                size_t count, size_t first, int *group)
{
    size_t len = 0;
    for (size_t i = first; i < count; i++) {
        if (places[i].is_done || places[i].device != places[first].device)
            continue;
        places[i].is_done = true;
        group[len++] = fds[i];
    }
    return flush_group(durable, group, len, places[first].device);
}

bool
durable_flush(struct durable *durable, const int *fds, size_t count)
{
    struct stat status;
    bool ok = true;

    if (!count)
        return true;
    if (durable->is_one_device)
        return flush_group(durable, fds, count, durable->device);
    struct place *places = calloc(count, sizeof *places);
    int *group = calloc(count, sizeof *group);
    for (size_t i = 0; ok && places && i < count; i++) {
        ok = fstat(fds[i], &status) == 0;
        places[i].device = status.st_dev;
    }
    if (!places || !group)
        ok = flush_each(durable, fds, count);
    else
        for (size_t i = 0; ok && i < count; i++)
            if (!places[i].is_done)
                ok = flush_device_of(durable, fds, places, count, i, group);
    free(places);
    free(group);
    return ok;
}
