#include "feed.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <sys/wait.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/djbunix.h>
#include <skalibs/sig.h>

#include "exitcode.h"

enum { CHUNK = 65536 };

/* The child cannot return an error: it exits with the one that stands for all of them. */
static _Noreturn void
become_program(char *const *arguments, int input)
{
    sig_restore(SIGPIPE);
    if (dup2(input, 0) == 0)
        execvp(arguments[0], arguments);
    _exit(EXITCODE_TEMPORARY);
}

/* A program may stop reading early; its exit code says what that means. */
static bool
feed(int to, const char *prefix, size_t prefix_len)
{
    char chunk[CHUNK];

    if (allwrite(to, prefix, prefix_len) < prefix_len)
        return errno == EPIPE;
    for (;;) {
        ssize_t got = read(0, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0;
        if (allwrite(to, chunk, (size_t)got) < (size_t)got)
            return errno == EPIPE;
    }
}

bool
feed_program(char *const *arguments, const char *prefix, size_t prefix_len, int *status)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    sig_ignore(SIGPIPE);
    pid_t child = fork();
    if (child == 0)
        become_program(arguments, ends[0]);
    fd_close(ends[0]);
    bool ok = child > 0 && feed(ends[1], prefix, prefix_len);
    int saved = errno;
    if (!ok && child > 0)
        kill(child, SIGKILL); /* before it sees the end of the pipe */
    fd_close(ends[1]);
    if (child > 0 && wait_pid(child, status) < 0)
        return false;
    errno = saved;
    return ok;
}

int
feed_exit_code(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXITCODE_TEMPORARY;
}
