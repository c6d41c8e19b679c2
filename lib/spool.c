#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/sendfile.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/djbunix.h>

#include "handoff.h"

enum { DIRECT_MIN = 4096 }; /* bytes that are not worth a copy */

static void
close_descriptor(struct spool *spool)
{
    if (spool->fd >= 0)
        close(spool->fd);
    spool->fd = -1;
    spool->on_disk = false;
}

void
spool_reset(struct spool *spool)
{
    close_descriptor(spool);
    spool->pending.len = 0;
    spool->len = 0;
}

void
spool_free(struct spool *spool)
{
    close_descriptor(spool);
    stralloc_free(&spool->pending);
    spool->len = 0;
}

static int
open_unlinked(const char *dir)
{
    return open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

/* queue/drop first: the queue's file system is the one that was sized for mail. */
static int
open_on_disk(void)
{
    const char *chosen = getenv("TMPDIR");
    int fd = open_unlinked("queue/drop");
    if (fd < 0 && chosen && *chosen)
        fd = open_unlinked(chosen);
    return fd < 0 ? open_unlinked("/tmp") : fd;
}

/* Move what the memfd holds into an unlinked file. */
static bool
move_to_disk(struct spool *spool)
{
    int disk = open_on_disk();
    if (disk < 0)
        return false;
    off_t offset = 0;
    off_t end = lseek(spool->fd, 0, SEEK_END);
    while (end >= 0 && offset < end) {
        ssize_t sent = sendfile(disk, spool->fd, &offset, (size_t)(end - offset));
        if (sent <= 0 && errno != EINTR)
            end = -1;
    }
    if (end < 0) {
        fd_close(disk);
        return false;
    }
    close(spool->fd);
    spool->fd = disk;
    spool->on_disk = true;
    return true;
}

/* Make sure that there is a descriptor, of the right kind for the length so far. */
static bool
prepare_descriptor(struct spool *spool)
{
    if (spool->fd < 0) {
        spool->fd = memfd_create("spool", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (spool->fd < 0)
            return false;
    }
    return spool->on_disk || spool->len <= SPOOL_MEMFD_MAX || move_to_disk(spool);
}

static bool
flush_pending(struct spool *spool)
{
    if (!prepare_descriptor(spool) ||
        allwrite(spool->fd, spool->pending.s, spool->pending.len) < spool->pending.len)
        return false;
    spool->pending.len = 0;
    return true;
}

/* A large piece of a large message goes where it belongs, and not through pending. */
static bool
put_directly(struct spool *spool, const char *bytes, size_t len)
{
    spool->len += len;
    return flush_pending(spool) && allwrite(spool->fd, bytes, len) == len;
}

bool
spool_put(struct spool *spool, const char *bytes, size_t len)
{
    if (spool->fd >= 0 && len >= DIRECT_MIN)
        return put_directly(spool, bytes, len);
    while (len) {
        size_t room = HANDOFF_BODY_MAX - spool->pending.len;
        size_t take = len < room ? len : room;
        if (!stralloc_catb(&spool->pending, bytes, take))
            return false;
        spool->len += take;
        bytes += take;
        len -= take;
        if (len && !flush_pending(spool))
            return false;
    }
    return true;
}

bool
spool_finish(struct spool *spool)
{
    if (spool->fd < 0 && spool->len <= HANDOFF_BODY_MAX)
        return true;
    if (spool->pending.len && !flush_pending(spool))
        return false;
    if (spool->on_disk)
        return true;
    return fcntl(spool->fd, F_ADD_SEALS,
                 F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0;
}

ssize_t
spool_read(const struct spool *spool, char *to, size_t len, uint64_t offset)
{
    if (spool->fd >= 0) {
        ssize_t got;
        do
            got = pread(spool->fd, to, len, (off_t)offset);
        while (got < 0 && errno == EINTR);
        return got;
    }
    if (offset >= spool->pending.len)
        return 0;
    size_t left = spool->pending.len - offset;
    size_t take = len < left ? len : left;
    memcpy(to, spool->pending.s + offset, take);
    return (ssize_t)take;
}
