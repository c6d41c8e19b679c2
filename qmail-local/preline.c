/* preline: give a message with From_, Return-Path and Delivered-To lines to a program.
 *
 * usage   preline [-dfr] program [argument ...]
 *         -d  no Delivered-To     -f  no From_     -r  no Return-Path
 * stdin   the message
 * env     UFLINE, RPLINE, DTLINE: all must be set, whatever the options
 * exit    what the program ends with; 100 it cannot be found, bad usage, a variable is
 *         missing; 111 the program crashed, or reading or writing failed
 * exec    the program, with a pipe from us on descriptor 0
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/wait.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/sgetopt.h>
#include <skalibs/strerr.h>

#include "die.h"
#include "exitcode.h"

static const char usage[] = "preline [-dfr] program [argument ...]";

static const char *
need(const char *name, const char *complaint)
{
    const char *value = getenv(name);
    if (!value)
        die_perm(complaint);
    return value;
}

/* returns  false when the program has closed its end: it needs no more */
static bool
put(int fd, const char *bytes, size_t len)
{
    if (allwrite(fd, bytes, len) == len)
        return true;
    if (errno != EPIPE)
        die_temp("write to", "the program");
    return false;
}

static void
feed(int fd, const char *const *lines)
{
    char chunk[64 * 1024];
    ssize_t got;

    for (unsigned int i = 0; i < 3; i++)
        if (!put(fd, lines[i], strlen(lines[i])))
            return;
    while ((got = read(0, chunk, sizeof chunk)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            die_temp("read", "the message");
        if (!put(fd, chunk, (size_t)got))
            return;
    }
}

static pid_t
start(const char *const *argv, int *to_program)
{
    int ends[2];

    if (pipe(ends) < 0)
        die_temp("make", "a pipe");
    pid_t pid = fork();
    if (pid < 0)
        die_temp("fork for", argv[0]);
    if (pid == 0) {
        signal(SIGPIPE, SIG_DFL);
        if (dup2(ends[0], 0) < 0)
            die_temp("connect", argv[0]);
        close(ends[0]);
        close(ends[1]);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        if (errno == ENOENT || errno == EACCES)
            die_perm("the program cannot be run");
        die_temp("run", argv[0]);
    }
    close(ends[0]);
    *to_program = ends[1];
    return pid;
}

static int
wait_for(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            die_temp("wait for", "the program");
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXITCODE_TEMPORARY;
}

int
main(int argc, const char *const *argv)
{
    subgetopt options = SUBGETOPT_ZERO;
    int option, to_program;

    PROG = "preline";
    signal(SIGPIPE, SIG_IGN);
    const char *lines[3] = {need("UFLINE", "UFLINE is not set"),
                            need("RPLINE", "RPLINE is not set"),
                            need("DTLINE", "DTLINE is not set")};
    while ((option = subgetopt_r(argc, argv, "dfr", &options)) != -1)
        switch (option) {
        case 'f':
            lines[0] = "";
            break;
        case 'r':
            lines[1] = "";
            break;
        case 'd':
            lines[2] = "";
            break;
        default:
            die_usage(usage);
        }
    argv += options.ind;
    if (!argv[0])
        die_usage(usage);
    pid_t pid = start(argv, &to_program);
    feed(to_program, lines);
    close(to_program);
    return wait_for(pid);
}
