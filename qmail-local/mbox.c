#include "mbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/stat.h>

#include <skalibs/buffer.h>

#include "mbox_entry.h"

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
write_entry(int fd, const struct local_lines *lines, const struct message *message)
{
    char storage[64 * 1024];
    buffer out;

    buffer_init(&out, &buffer_write, fd, storage, sizeof storage);
    return put(&out, &lines->from_) && put(&out, &lines->return_path) &&
           put(&out, &lines->delivered_to) &&
           mbox_put_message(&out, message->bytes, message->len) && buffer_flush(&out);
}

static bool
append(int fd, const char *path, const struct local_lines *lines,
       const struct message *message, struct local_result *result)
{
    struct stat status;

    if (!lock(fd)) {
        if (errno == EINTR)
            return local_result_defer(result,
                                      "the mbox was locked for 30 seconds (#4.3.0)");
        return local_result_defer_errno(result, "lock", path, "4.3.0");
    }
    if (fstat(fd, &status) < 0)
        return local_result_defer_errno(result, "look at", path, "4.3.0");
    bool is_file = S_ISREG(status.st_mode);
    if (!is_file && !S_ISCHR(status.st_mode)) /* /dev/null is one */
        return local_result_defer(result, "the mbox is not a file (#4.2.1)");
    if (write_entry(fd, lines, message) && (!is_file || fsync(fd) == 0))
        return true;
    local_result_defer_errno(result, "write", path, "4.3.0");
    if (is_file && ftruncate(fd, status.st_size) < 0)
        local_result_defer_errno(result, "cut back", path, "4.3.0");
    return false;
}

bool
mbox_append(int home, const char *path, const struct local_lines *lines,
            const struct message *message, struct local_result *result)
{
    /* O_NONBLOCK: a FIFO that nobody reads must not stop us */
    int flags = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC;
    int fd = openat(home, path, flags, 0600);
    if (fd < 0)
        return local_result_defer_errno(result, "open", path, "4.2.1");
    bool ok = append(fd, path, lines, message, result);
    if (close(fd) < 0 && ok)
        return local_result_defer_errno(result, "write", path, "4.3.0");
    return ok;
}
