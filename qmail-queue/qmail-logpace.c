/* qmail-logpace: run a logger, and let it wake at most 50 times a second.
 *
 * usage   qmail-logpace program [argument ...]
 * stdin   the lines for program: a pipe; a socket or a file works too
 * fds     all but 0 go to program unchanged; 3 to 9 (readiness notification) only to it
 * exit    that of program after TERM, HUP or the end of the input; 100 wrong usage,
 *         or an input of another kind; 111 program cannot be run, or ended unasked,
 *         or a signal ended it
 *
 *   writers -> pipe -> qmail-logpace -> pipe -> program
 *
 * tcpserver writes each line by itself, and each would wake the logger. Here what has
 * come waits for 20 ms after the lines before, and goes on in one piece. A line that
 * comes alone goes at once. 20 ms, because a logger stamps lines when it reads them: that
 * is how late a stamp can be, and 50 times a second costs nothing.
 *
 * Nothing is taken from the input before there is room for it with a living program:
 * splice moves pages from pipe to pipe, or fails. It moves them whole, and the kernel
 * does not divide what was written at once, and fits into a page, between two: so no such
 * line is torn when another instance goes on with the input.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skalibs/djbunix.h>
#include <skalibs/exec.h>
#include <skalibs/selfpipe.h>
#include <skalibs/sig.h>
#include <skalibs/strerr.h>

#include "die.h"

enum {
    FD_INPUT = 0,
    FD_GIVEN_FIRST = 3,
    FD_GIVEN_LAST = 9,
    PAUSE_MS = 20,
    /* A connection's five lines are some 300 bytes. At 1,000 connections a second a pipe
     * of the usual 64 KiB is full when the logger has got no processor for 0.2 s;
     * this one, after 3 s. */
    PIPE_BYTES = 1 << 20,
    GULP_BYTES = 1 << 30, /* all there is: more than a pipe holds */
    GULP_LARGE_BYTES =
        1 << 15 /* worth a wakeup; who writes so much shall not wait for us */
};

struct pacer {
    int signals;
    int output;
    pid_t program;
};

static void
catch_signals(struct pacer *pacer)
{
    static const int caught[] = {SIGTERM, SIGHUP, SIGALRM, SIGCHLD};
    (void)sig_restore(
        SIGCHLD); /* an inherited "ignore" would hide the end of the program */
    pacer->signals = selfpipe_init();
    for (size_t i = 0; pacer->signals >= 0 && i < sizeof caught / sizeof *caught; i++)
        if (selfpipe_trap(caught[i]) < 0)
            pacer->signals = -1;
    if (pacer->signals < 0)
        die_temp("catch", "signals");
}

static _Noreturn void
become_program(const char *const *argv, int input)
{
    selfpipe_finish();
    if (dup2(input, FD_INPUT) < 0)
        die_temp("connect", argv[0]);
    exec(argv);
    die_temp("run", argv[0]);
}

/* What we open is close-on-exec; what is not was given to us, for the program. */
static void
start_program(struct pacer *pacer, const char *const *argv)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        die_temp("make", "a pipe");
    (void)fcntl(FD_INPUT, F_SETPIPE_SZ, PIPE_BYTES);
    (void)fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES);
    pacer->program = fork();
    if (pacer->program < 0)
        die_temp("fork for", argv[0]);
    if (pacer->program == 0)
        become_program(argv, ends[0]);
    close(ends[0]);
    pacer->output = ends[1];
    for (int fd = FD_GIVEN_FIRST; fd <= FD_GIVEN_LAST; fd++)
        if (fcntl(fd, F_GETFD) == 0)
            close(fd);
    if (sig_ignore(SIGPIPE) < 0)
        die_temp("ignore", "SIGPIPE");
}

/* returns  false when we shall end */
static bool
take_signals(const struct pacer *pacer)
{
    int status;
    for (;;)
        switch (selfpipe_read()) {
        case 0:
            return true;
        case SIGALRM: /* for s6-log and multilog: rotate now */
            kill(pacer->program, SIGALRM);
            break;
        case SIGCHLD:
            if (wait_pid_nohang(pacer->program, &status) == pacer->program)
                die_later("the program has ended, although its input has not");
            break;
        case SIGTERM:
        case SIGHUP:
            return false;
        default:
            die_temp("read", "signals");
        }
}

/* Pass on what is there.
 * returns  its length, 0 at the end of the input, -1 when it has to wait: nothing is
 *          there, or the program has to make room first */
static ssize_t
gulp(const struct pacer *pacer)
{
    ssize_t moved =
        splice(FD_INPUT, NULL, pacer->output, NULL, GULP_BYTES, SPLICE_F_NONBLOCK);
    if (moved >= 0 || errno == EAGAIN || errno == EINTR)
        return moved;
    if (errno == EINVAL)
        die_perm("standard input has to be a pipe, a socket or a file");
    if (errno == EPIPE)
        die_later("the program does not read its input any more");
    die_temp("pass on", "standard input");
}

/* Pass on input until it ends or we are told to end. */
static void
pace(const struct pacer *pacer)
{
    struct pollfd watched[] = {{pacer->signals, POLLIN, 0}, {FD_INPUT, POLLIN, 0}};
    bool is_pausing = false;

    for (;;) {
        int ready = poll(watched, is_pausing ? 1 : 2, is_pausing ? PAUSE_MS : -1);
        if (ready < 0 && errno != EINTR)
            die_temp("wait for", "standard input");
        if (ready > 0 && watched[0].revents) {
            if (take_signals(pacer))
                continue;
            gulp(pacer); /* when all stops, there is no later instance to read it */
            return;
        }
        if (ready > 0) {
            ssize_t moved = gulp(pacer);
            if (moved == 0)
                return;
            is_pausing = moved < GULP_LARGE_BYTES;
        } else if (ready == 0) {
            is_pausing = false;
        }
    }
}

/* The program reads what it has got to the end. */
static int
end_program(const struct pacer *pacer)
{
    int status;
    close(pacer->output);
    if (wait_pid(pacer->program, &status) < 0)
        die_temp("wait for", "the program");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 111;
}

int
main(int argc, const char *const *argv)
{
    struct pacer pacer;
    PROG = "qmail-logpace";

    if (argc < 2 || argv[1][0] == '-')
        die_usage("qmail-logpace program [argument ...]");
    if (!fd_sanitize())
        die_temp("open", "standard input and output");
    catch_signals(&pacer);
    start_program(&pacer, argv + 1);
    pace(&pacer);
    return end_program(&pacer);
}
