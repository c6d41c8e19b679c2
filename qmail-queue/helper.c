#include "helper.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <sys/prctl.h>
#include <sys/syscall.h>

#include <skalibs/selfpipe.h>
#include <skalibs/sig.h>

enum { FIRST = 3, CLOSE_UP_TO = 65536 };

static void
close_from(int first)
{
#ifdef SYS_close_range
    if (syscall(SYS_close_range, (unsigned int)first, ~0U, 0U) == 0)
        return;
#endif
    for (int fd = first; fd < CLOSE_UP_TO; fd++)
        close(fd);
}

static void
settle(pid_t parent, int *fds, int count)
{
    /* what is in hand is brought to its end: the parent decides about TERM */
    selfpipe_finish();
    sig_ignore(SIGTERM);
    sig_ignore(SIGINT);
    sig_ignore(SIGHUP);
    sig_ignore(SIGALRM);
    for (int i = 0; i < count; i++) {
        if (fds[i] == FIRST + i)
            continue;
        /* lift those out of the way that sit on our place */
        for (int k = i + 1; k < count; k++)
            if (fds[k] == FIRST + i)
                fds[k] = fcntl(fds[k], F_DUPFD_CLOEXEC, FIRST + count);
        if (dup3(fds[i], FIRST + i, O_CLOEXEC) < 0)
            _exit(111);
        fds[i] = FIRST + i;
    }
    close_from(FIRST + count);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
        _exit(111);
}

pid_t
helper_fork(int *fds, int count)
{
    pid_t parent = getpid(), pid = fork();

    if (pid == 0)
        settle(parent, fds, count);
    return pid;
}
