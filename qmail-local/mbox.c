#include "mbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/stat.h>

#include <skalibs/buffer.h>
#include <skalibs/djbunix.h>
#include <skalibs/stralloc.h>

#include "mbox_entry.h"
#include "text.h"

struct mbox {
    int home; /* the directory to which path is relative */
    const char *path;
    int fd;
};

static void
wake_up(int signal_number)
{
    (void)signal_number; /* flock() returns EINTR */
}

/* returns  true; false with errno, EINTR after MBOX_LOCK_WAIT_S */
static bool
lock(int fd)
{
    struct sigaction action = {.sa_handler = wake_up};
    struct sigaction saved;

    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGALRM, &action, &saved) < 0)
        return false;
    alarm(MBOX_LOCK_WAIT_S);
    int result = flock(fd, LOCK_EX);
    int error = errno;
    alarm(0);
    (void)sigaction(SIGALRM, &saved, NULL);
    errno = error;
    return result == 0;
}

static bool
put(buffer *out, const stralloc *line)
{
    return buffer_put(out, line->s, line->len) >= 0;
}

static bool
write_entry(int fd, off_t size, const struct local_lines *lines,
            const struct message *message)
{
    char storage[64 * 1024];
    buffer out;

    buffer_init(&out, &buffer_write, fd, storage, sizeof storage);
    return mbox_put_separator(&out, fd, size) && put(&out, &lines->from_) &&
           put(&out, &lines->return_path) && put(&out, &lines->delivered_to) &&
           mbox_put_message(&out, message->bytes, message->len) && buffer_flush(&out);
}

/* Lock, and look at the file. Who had the lock before us may have put another file in its
 * place, as maildir2mbox does: ours would go with the next close. */
static bool
lock_named(const struct mbox *mbox, struct stat *status, struct local_result *result)
{
    struct stat named;

    if (!lock(mbox->fd)) {
        if (errno == EINTR)
            return local_result_defer(result,
                                      "the mbox was locked for 30 seconds (#4.3.0)");
        return local_result_defer_errno(result, "lock", mbox->path, "4.3.0");
    }
    if (fstat(mbox->fd, status) < 0 || fstatat(mbox->home, mbox->path, &named, 0) < 0)
        return local_result_defer_errno(result, "look at", mbox->path, "4.3.0");
    if (named.st_ino != status->st_ino || named.st_dev != status->st_dev)
        return local_result_defer(result, "the mbox was replaced meanwhile (#4.3.0)");
    return true;
}

/* fsync of a new file need not keep its name. As long as it is empty that may be missing;
 * a folder that cannot be read cannot be flushed either. */
static bool
flush_name(const struct mbox *mbox)
{
    stralloc folder = STRALLOC_ZERO;
    const char *slash = strrchr(mbox->path, '/');
    size_t len = slash ? (size_t)(slash - mbox->path) + 1 : 0;
    int fd = -1;

    if (len ? text_copy_bytes(&folder, mbox->path, len) : text_copy(&folder, "."))
        fd = openat(mbox->home, folder.s, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 ? fsync(fd) == 0 : errno == EACCES;
    if (fd >= 0)
        fd_close(fd); /* keeps errno */
    stralloc_free(&folder);
    return ok;
}

static bool
append(const struct mbox *mbox, const struct local_lines *lines,
       const struct message *message, struct local_result *result)
{
    const char *path = mbox->path;
    struct stat status;

    if (!lock_named(mbox, &status, result))
        return false;
    bool is_file = S_ISREG(status.st_mode);
    if (!is_file && !S_ISCHR(status.st_mode)) /* /dev/null is one */
        return local_result_defer(result, "the mbox is not a file (#4.2.1)");
    if (is_file && !status.st_size && !flush_name(mbox))
        return local_result_defer_errno(result, "flush the folder of", path, "4.3.0");
    if (write_entry(mbox->fd, status.st_size, lines, message) &&
        (!is_file || fsync(mbox->fd) == 0))
        return true;
    local_result_defer_errno(result, "write", path, "4.3.0");
    if (is_file && ftruncate(mbox->fd, status.st_size) < 0)
        local_result_defer_errno(result, "cut back", path, "4.3.0");
    return false;
}

bool
mbox_append(int home, const char *path, const struct local_lines *lines,
            const struct message *message, struct local_result *result)
{
    /* O_NONBLOCK: a FIFO that nobody reads must not stop us */
    int flags = O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC;
    struct mbox mbox = {home, path, openat(home, path, flags | O_RDWR, 0600)};
    if (mbox.fd < 0 && errno == EACCES) /* perhaps nobody may read it */
        mbox.fd = openat(home, path, flags | O_WRONLY, 0600);
    if (mbox.fd < 0)
        return local_result_defer_errno(result, "open", path, "4.2.1");
    bool ok = append(&mbox, lines, message, result);
    if (close(mbox.fd) < 0 && ok)
        return local_result_defer_errno(result, "write", path, "4.3.0");
    return ok;
}
