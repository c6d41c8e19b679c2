#include "mail_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/stat.h>

#include <skalibs/djbunix.h>

enum {
    READ_AHEAD = 64 * 1024,
    YOUNG_S = 10, /* qmail-queued needs less from creating a file to locking it */
};

static int
open_id(uint64_t id, int flags)
{
    char path[QUEUE_FILE_PATH_MAX];
    queue_file_path(path, id);
    /* O_NONBLOCK: somebody may have put a FIFO there. openat(), because musl's open()
     * sets close-on-exec once more, which costs a system call per message. */
    return openat(AT_FDCWD, path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

/* A symbolic link or a socket, as open_id() tells. */
static bool
is_never_a_file(int error)
{
    return error == ELOOP || error == ENXIO;
}

int
mail_open(const struct mail *mail)
{
    return open_id(mail->id, O_RDONLY);
}

enum mail_status
mail_read(struct mail **mail, uint64_t id, stralloc *bytes)
{
    struct mail *new = calloc(1, sizeof *new);
    if (!new)
        return MAIL_ERROR;
    new->id = id;
    bytes->len = 0;
    int fd = mail_open(new);
    enum mail_status status = MAIL_ERROR;
    if (fd < 0) {
        status = errno == ENOENT ? MAIL_GONE : MAIL_ERROR;
    } else {
        enum queue_file_status read_status = queue_file_read_whole(fd, &new->file, bytes);
        status = read_status == QUEUE_FILE_OK     ? MAIL_OK
                 : read_status == QUEUE_FILE_TORN ? MAIL_BAD
                                                  : MAIL_ERROR;
        fd_close(fd);
    }
    if (status == MAIL_OK) {
        mail_read_records(new);
        *mail = new;
        return MAIL_OK;
    }
    int saved = errno;
    mail_free(new);
    errno = saved;
    return status;
}

/* Is it a regular file, and nobody else's? */
static enum mail_status
look_at_inode(struct mail_check *check)
{
    struct stat status;
    if (fstat(check->fd, &status) < 0)
        return MAIL_ERROR;
    if (!S_ISREG(status.st_mode))
        return MAIL_BAD;
    check->bytes = (uint64_t)status.st_size;
    if (status.st_nlink > 1) {
        /* a snapshot of hard links: to write to the file would change the copy too */
        errno = EMLINK;
        return MAIL_ERROR;
    }
    (void)posix_fadvise(check->fd, 0, READ_AHEAD, POSIX_FADV_WILLNEED);
    return MAIL_OK;
}

void
mail_check_begin(struct mail_check *check, uint64_t id)
{
    *check = (struct mail_check){.id = id, .fd = open_id(id, O_RDONLY)};
    if (check->fd >= 0)
        check->status = look_at_inode(check);
    else if (is_never_a_file(errno))
        check->status = MAIL_BAD;
    else
        check->status = errno == ENOENT ? MAIL_GONE : MAIL_ERROR;
    check->error = errno;
}

/* Can qmail-queued be about to lock this file? Ids are times; its clock is ours, and may
 * have been set back a little since. */
static bool
is_young(uint64_t id)
{
    uint64_t now_s = (uint64_t)time(NULL);
    return id / 1000000 + YOUNG_S > now_s && id / 1000000 < now_s + YOUNG_S;
}

/* A file is first there, then locked, then written. So an incomplete young one is left
 * alone: not even its lock is tried, since qmail-queued would take that for a failure. A
 * complete one that is locked has not been accepted yet. */
static enum mail_status
read_check(struct mail_check *check, stralloc *scratch, stralloc *bytes)
{
    struct queue_file file = {.envelope = *scratch};
    enum queue_file_status status = queue_file_read_whole(check->fd, &file, bytes);
    if (status == QUEUE_FILE_OK && !bytes->len)
        status = queue_file_read(check->fd, &file, true);
    *scratch = file.envelope;
    check->next_try_s = file.header.next_try_s;
    if (status == QUEUE_FILE_TORN && is_young(check->id))
        return MAIL_BUSY;
    if (flock(check->fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? MAIL_BUSY : MAIL_ERROR;
    return status == QUEUE_FILE_OK     ? MAIL_OK
           : status == QUEUE_FILE_TORN ? MAIL_BAD
                                       : MAIL_ERROR;
}

void
mail_check_end(struct mail_check *check, stralloc *scratch, stralloc *bytes)
{
    if (check->status == MAIL_OK) {
        check->status = read_check(check, scratch, bytes);
        check->error = errno;
    }
    if (check->fd >= 0)
        close(check->fd);
    check->fd = -1;
    errno = check->error;
}

bool
mail_write_done(struct mail *mail, uint32_t first, uint32_t count,
                enum recipient_state state)
{
    int fd = open_id(mail->id, O_WRONLY);
    bool ok = fd >= 0;
    for (uint32_t i = first; ok && i < first + count; i++)
        if (mail->recipients[i].state == state)
            ok = queue_file_mark_done(fd, &mail->file, mail->recipients[i].offset);
    if (fd >= 0)
        fd_close(fd);
    return ok;
}

bool
mail_write_header(const struct mail *mail)
{
    int fd = open_id(mail->id, O_WRONLY);
    if (fd < 0)
        return false;
    bool ok = queue_file_write_header(fd, &mail->file);
    /* The disk may begin now. No flush: should the power fail before the next one that
     * somebody else asks for, recipients done in this pass get it once more. */
    (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    fd_close(fd);
    return ok;
}

bool
mail_unlink(uint64_t id)
{
    char path[QUEUE_FILE_PATH_MAX];
    queue_file_path(path, id);
    return unlink(path) == 0 || errno == ENOENT;
}

/* Nobody writes to the open file, and it is still no message. Sets errno when not. */
static bool
is_still_bad(int fd)
{
    struct queue_file file = {.message_len = 0};
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return false;
    enum queue_file_status status = queue_file_read(fd, &file, true);
    stralloc_free(&file.envelope);
    if (status == QUEUE_FILE_OK)
        errno = EWOULDBLOCK;
    return status == QUEUE_FILE_TORN;
}

bool
mail_set_aside(uint64_t id)
{
    char path[QUEUE_FILE_PATH_MAX], target[QUEUE_FILE_PATH_MAX];
    queue_file_path(path, id);
    snprintf(target, sizeof target, "queue/bad/%" PRIu64, id);
    /* locked until it has moved: a writer that comes late finds that it cannot lock it */
    int fd = open_id(id, O_RDONLY);
    if (fd < 0 && errno == ENOENT)
        return true;
    bool is_bad = fd < 0 ? is_never_a_file(errno) : is_still_bad(fd);
    bool moved = is_bad && rename(path, target) == 0;
    if (fd >= 0)
        fd_close(fd);
    return moved;
}
