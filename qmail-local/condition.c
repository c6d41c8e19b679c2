#include "condition.h"

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#include <sys/wait.h>

#include "exitcode.h"

enum condition
condition_ask(const char *const *argv)
{
    int status;
    pid_t pid = fork();

    if (pid < 0)
        return CONDITION_LATER;
    if (pid == 0) {
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(EXITCODE_TEMPORARY);
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return CONDITION_LATER;
    if (!WIFEXITED(status) || WEXITSTATUS(status) == EXITCODE_TEMPORARY)
        return CONDITION_LATER;
    return WEXITSTATUS(status) == 0 ? CONDITION_YES : CONDITION_NO;
}
