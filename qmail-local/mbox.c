#include "mbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/stat.h>

#include <skalibs/buffer.h>

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

/* A line of the form ">*From " needs one more '>'. */
static bool
needs_quoting(const char *line, size_t len)
{
    size_t i = 0;
    while (i < len && line[i] == '>')
        i++;
    return len - i >= 5 && memcmp(line + i, "From ", 5) == 0;
}

static bool
put(buffer *out, const char *bytes, size_t len)
{
    return buffer_put(out, bytes, len) >= 0;
}

static bool
put_quoted(buffer *out, const char *at, size_t len)
{
    while (len) {
        const char *newline = memchr(at, '\n', len);
        size_t line_len = newline ? (size_t)(newline - at) : len;
        if (needs_quoting(at, line_len) && !put(out, ">", 1))
            return false;
        if (!put(out, at, line_len) || !put(out, "\n", 1))
            return false;
        if (!newline)
            break;
        at = newline + 1;
        len -= line_len + 1;
    }
    return true;
}

static bool
write_entry(int fd, const struct local_lines *lines, const struct message *message)
{
    char storage[64 * 1024];
    buffer out;

    buffer_init(&out, &buffer_write, fd, storage, sizeof storage);
    return put(&out, lines->from_.s, lines->from_.len) &&
           put(&out, lines->return_path.s, lines->return_path.len) &&
           put(&out, lines->delivered_to.s, lines->delivered_to.len) &&
           put_quoted(&out, message->bytes, message->len) && put(&out, "\n", 1) &&
           buffer_flush(&out);
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
