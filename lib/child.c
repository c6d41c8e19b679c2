#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FD_INPUT = 0, FD_OUTPUT = 1, FD_LOG = 2, LOWEST_FREE = 3 };

extern char **environ;

/* Is another try later worth while? */
static bool
is_temporary(int error)
{
    return error != ENOENT && error != ENOTDIR && error != EACCES && error != ENOEXEC &&
           error != EISDIR && error != ELOOP && error != ENAMETOOLONG && error != E2BIG;
}

static bool
place_descriptors(const struct child_plan *plan)
{
    /* lift both out of the way of their targets first */
    int input = fcntl(plan->input, F_DUPFD_CLOEXEC, LOWEST_FREE);
    int output =
        fcntl(plan->output < 0 ? FD_LOG : plan->output, F_DUPFD_CLOEXEC, LOWEST_FREE);
    return input >= 0 && output >= 0 && dup2(input, FD_INPUT) == FD_INPUT &&
           dup2(output, FD_OUTPUT) == FD_OUTPUT && dup2(output, FD_LOG) == FD_LOG;
}

/* An administrator's PATH and queue program reach .qmail programs; what else root's shell
 * or supervisor had in its environment is nobody's business. */
static void
reduce_environment(void)
{
    static const char *const kept[] = {"PATH", "QMAILQUEUE", "TZ"};
    static char default_path[] = "PATH=/usr/local/bin:/usr/bin:/bin";
    static char *reduced[sizeof kept / sizeof *kept + 2];
    size_t count = 0;

    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        size_t len = strlen(kept[i]);
        for (char **entry = environ; entry && *entry; entry++)
            if (strncmp(*entry, kept[i], len) == 0 && (*entry)[len] == '=') {
                reduced[count++] = *entry;
                break;
            }
    }
    if (!getenv("PATH"))
        reduced[count++] = default_path;
    reduced[count] = NULL;
    environ = reduced;
}

/* QMAILHOME may have been a relative path, which means something else from here. */
static bool
name_home(void)
{
    char *home = getcwd(NULL, 0);
    return home && setenv("QMAILHOME", home, 1) == 0; /* the exec frees it */
}

static void
restore_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGCHLD, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void
become_program(const struct child_plan *plan)
{
    (void)setpgid(0, 0);
    restore_signals();
    if (!place_descriptors(plan))
        _exit(CHILD_SYSTEM);
    if (!plan->whole_environment)
        reduce_environment();
    if (!name_home())
        _exit(CHILD_SYSTEM);
    if (plan->identity && !account_is_single_user() && plan->identity->uid == 0)
        _exit(CHILD_ROOT);
    if (plan->identity && !account_become(plan->identity))
        _exit(CHILD_SYSTEM);
    execvp(plan->arguments[0], (char *const *)(uintptr_t)plan->arguments);
    _exit(is_temporary(errno) ? CHILD_EXEC_SOFT : CHILD_EXEC_HARD);
}

pid_t
child_start(const struct child_plan *plan)
{
    pid_t pid = fork();
    if (pid == 0)
        become_program(plan);
    return pid;
}
