#include "queue_program.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/wait.h>

#include <skalibs/djbunix.h>
#include <skalibs/sig.h>

#include "clock.h"
#include "exitcode.h"
#include "text.h"

enum {
    FD_MESSAGE = 0,
    FD_ENVELOPE = 1,
    FD_TEXT = 6,
    TEXT_MAX = 255,
    CHUNK = 65536,
};

/* The three pipes; ours are message[1], envelope[1], text[0]. */
struct pipes {
    int message[2];
    int envelope[2];
    int text[2];
};

static bool
open_pipes(struct pipes *pipes)
{
    if (pipe2(pipes->message, O_CLOEXEC) < 0)
        return false;
    if (pipe2(pipes->envelope, O_CLOEXEC) == 0) {
        if (pipe2(pipes->text, O_CLOEXEC) == 0)
            return true;
        fd_close(pipes->envelope[0]);
        fd_close(pipes->envelope[1]);
    }
    fd_close(pipes->message[0]);
    fd_close(pipes->message[1]);
    return false;
}

/* In the child: descriptors 0, 1 and 6 become the pipes, then the program. */
static _Noreturn void
become_program(const char *program, struct pipes *pipes)
{
    char *const arguments[] = {(char *)(uintptr_t)program, NULL};
    /* lift the three out of the way of their targets first */
    int message = fcntl(pipes->message[0], F_DUPFD_CLOEXEC, FD_TEXT + 1);
    int envelope = fcntl(pipes->envelope[0], F_DUPFD_CLOEXEC, FD_TEXT + 1);
    int text = fcntl(pipes->text[1], F_DUPFD_CLOEXEC, FD_TEXT + 1);
    if (message < 0 || envelope < 0 || text < 0 || dup2(message, FD_MESSAGE) < 0 ||
        dup2(envelope, FD_ENVELOPE) < 0 || dup2(text, FD_TEXT) < 0)
        _exit(QUEUE_EXEC_FAILED);
    sig_restore(SIGPIPE);
    execv(program, arguments);
    _exit(QUEUE_EXEC_FAILED);
}

/* Feed bytes from..to of the spool. A program that stops reading has its reasons,
 * told by its exit code. returns false when the deadline has passed or the
 * spool cannot be read. */
static bool
feed(int fd, const struct spool *spool, uint64_t from, uint64_t to, int64_t deadline_ms)
{
    char chunk[CHUNK];
    if (ndelay_on(fd) < 0)
        return false;
    while (from < to) {
        size_t want = to - from < CHUNK ? (size_t)(to - from) : CHUNK;
        ssize_t got = spool_read(spool, chunk, want, from);
        if (got <= 0 || !clock_wait_ready(fd, POLLOUT, deadline_ms))
            return false;
        ssize_t written = write(fd, chunk, (size_t)got);
        if (written < 0 && errno == EPIPE)
            return true;
        if (written < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        if (written > 0)
            from += (uint64_t)written;
    }
    return true;
}

/* Collect at most TEXT_MAX bytes from descriptor 6 until it is closed. */
static bool
read_text(int fd, stralloc *text, int64_t deadline_ms)
{
    char chunk[TEXT_MAX];
    for (;;) {
        if (!clock_wait_ready(fd, POLLIN, deadline_ms))
            return false;
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0;
        size_t room = TEXT_MAX - text->len;
        if (!text_append_bytes(text, chunk, (size_t)got < room ? (size_t)got : room))
            return false;
    }
}

static unsigned int
code_of(int status)
{
    return WIFEXITED(status) ? (unsigned int)WEXITSTATUS(status) : QUEUE_BUG;
}

unsigned int
queue_program_run(const char *program, const struct spool *spool, uint64_t message_len,
                  unsigned int deadline_s, stralloc *text, uint64_t *pid)
{
    struct pipes pipes;
    int64_t deadline_ms = clock_monotonic_ms() + (int64_t)deadline_s * 1000;
    int status;

    text->len = 0;
    sig_ignore(SIGPIPE);
    if (!open_pipes(&pipes))
        return QUEUE_NO_MEMORY;
    pid_t child = fork();
    if (child == 0)
        become_program(program, &pipes);
    fd_close(pipes.message[0]);
    fd_close(pipes.envelope[0]);
    fd_close(pipes.text[1]);
    *pid = (uint64_t)child;
    /* message to its end, close, then the envelope: programs read in this order */
    bool in_time =
        child > 0 && feed(pipes.message[1], spool, 0, message_len, deadline_ms);
    fd_close(pipes.message[1]);
    in_time =
        in_time && feed(pipes.envelope[1], spool, message_len, spool->len, deadline_ms);
    fd_close(
        pipes.envelope[1]); /* an unfinished envelope: the program must not queue it */
    in_time = in_time && read_text(pipes.text[0], text, deadline_ms);
    fd_close(pipes.text[0]);
    if (child < 0)
        return QUEUE_NO_MEMORY;
    if (!in_time)
        kill(child, SIGKILL);
    if (wait_pid(child, &status) < 0)
        return QUEUE_BUG;
    return in_time ? code_of(status) : QUEUE_TIMEOUT;
}
