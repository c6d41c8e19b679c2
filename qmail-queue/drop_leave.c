#include "drop_leave.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/random.h>
#include <sys/stat.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/djbunix.h>

#include "drop_file.h"
#include "exitcode.h"

enum { CHUNK = 65536, PATH_BYTES = 64 };

/* A file on its way: nameless until it is complete, or with a hidden name where the file
 * system knows no nameless ones. */
struct draft {
    int fd;
    char hidden[PATH_BYTES]; /* empty: nameless */
    char path[PATH_BYTES];
};

/* Nobody can list queue/drop, so a name that cannot be guessed keeps a file private
 * although qmailq has to be able to read it. */
static bool
choose_names(struct draft *draft)
{
    uint64_t number[2];
    ssize_t got;
    do
        got = getrandom(number, sizeof number, 0);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof number)
        return false;
    snprintf(draft->path, sizeof draft->path, "queue/drop/%016llx%016llx",
             (unsigned long long)number[0], (unsigned long long)number[1]);
    snprintf(draft->hidden, sizeof draft->hidden, "queue/drop/.%016llx%016llx",
             (unsigned long long)number[0], (unsigned long long)number[1]);
    return true;
}

static bool
open_draft(struct draft *draft)
{
    draft->fd = open("queue/drop", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
    if (draft->fd >= 0)
        draft->hidden[0] = '\0';
    else if (errno == EOPNOTSUPP || errno == EISDIR)
        draft->fd = open(draft->hidden, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    return draft->fd >= 0 && fchmod(draft->fd, 0644) == 0;
}

static bool
write_content(int fd, const struct spool *spool, uint64_t message_len)
{
    char chunk[CHUNK];
    char footer[DROP_FILE_FOOTER_LEN];
    const struct drop_file drop = {.message_len = message_len,
                                   .envelope_len = spool->len - message_len,
                                   .pid = (uint32_t)getpid()};
    uint64_t at = 0;

    while (at < spool->len) {
        ssize_t got = spool_read(spool, chunk, sizeof chunk, at);
        if (got == 0)
            errno = EIO;
        if (got <= 0 || allwrite(fd, chunk, (size_t)got) < (size_t)got)
            return false;
        at += (uint64_t)got;
    }
    drop_file_format(footer, &drop);
    return allwrite(fd, footer, sizeof footer) == sizeof footer && fsync(fd) == 0;
}

/* Give the complete file its name, for good: the directory cannot be opened by everybody,
 * so its entry is flushed with the whole file system; and with the file, which on a
 * journalled file system does it as well, since syncfs does not tell of every error
 * (lib/durable.c). */
static bool
publish(const struct draft *draft)
{
    char descriptor[PATH_BYTES];
    int result;

    snprintf(descriptor, sizeof descriptor, "/proc/self/fd/%d", draft->fd);
    if (draft->hidden[0])
        result = rename(draft->hidden, draft->path);
    else
        result = linkat(AT_FDCWD, descriptor, AT_FDCWD, draft->path, AT_SYMLINK_FOLLOW);
    if (result < 0)
        return false;
    if (fsync(draft->fd) == 0 && syncfs(draft->fd) == 0)
        return true;
    int saved = errno;
    unlink(draft->path); /* in the sticky directory our own file may go */
    errno = saved;
    return false;
}

static unsigned int
code_of_open_error(void)
{
    return errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == EPERM
               ? QUEUE_NO_QUEUE
               : QUEUE_WRITE_ERROR;
}

unsigned int
drop_leave(const struct spool *spool, uint64_t message_len)
{
    struct draft draft;

    if (!choose_names(&draft) || !open_draft(&draft))
        return code_of_open_error();
    bool ok = write_content(draft.fd, spool, message_len) && publish(&draft);
    int saved = errno;
    if (!ok && draft.hidden[0])
        unlink(draft.hidden);
    fd_close(draft.fd);
    errno = saved;
    return ok ? QUEUE_OK : QUEUE_WRITE_ERROR;
}
