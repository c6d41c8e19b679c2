#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/syscall.h>
#include <sys/wait.h>

#include "text.h"

enum { EXEC_FAILED = 120 }; /* only the child before exec ends with it */

static bool
set(const char *name, const char *value)
{
    return setenv(name, value, 1) == 0;
}

static bool
set_part(const char *name, const char *value, size_t len)
{
    stralloc part = STRALLOC_ZERO;
    bool ok = text_copy_bytes(&part, value, len) && set(name, part.s);
    stralloc_free(&part);
    return ok;
}

/* HOST2 is HOST without its last label, and so on; the last one repeats. */
static bool
set_hosts(const char *domain)
{
    static const char *const names[] = {"HOST", "HOST2", "HOST3", "HOST4"};
    size_t len = strlen(domain);

    for (unsigned int i = 0; i < 4; i++) {
        const char *dot = i ? memrchr(domain, '.', len) : NULL;
        if (dot)
            len = (size_t)(dot - domain);
        if (!set_part(names[i], domain, len))
            return false;
    }
    return true;
}

/* EXT2 is what follows the first '-' of EXT, and so on. */
static bool
set_exts(const char *ext)
{
    static const char *const names[] = {"EXT", "EXT2", "EXT3", "EXT4"};

    for (unsigned int i = 0; i < 4; i++) {
        if (!set(names[i], ext))
            return false;
        const char *dash = strchr(ext, '-');
        ext = dash ? dash + 1 : ext + strlen(ext);
    }
    return true;
}

static bool
set_recipient(const struct local_job *job)
{
    stralloc recipient = STRALLOC_ZERO;
    bool ok = text_copy(&recipient, job->local) && text_append(&recipient, "@") &&
              text_append(&recipient, job->domain) && set("RECIPIENT", recipient.s);
    stralloc_free(&recipient);
    return ok;
}

bool
program_set_environment(const struct local_job *job, const struct local_lines *lines,
                        const char *newsender, const char *default_part)
{
    if (default_part ? !set("DEFAULT", default_part) : unsetenv("DEFAULT") < 0)
        return false;
    return set("SENDER", job->sender) && set("NEWSENDER", newsender) &&
           set("USER", job->user) && set("HOME", job->home) && set("LOCAL", job->local) &&
           set_recipient(job) && set_hosts(job->domain) && set_exts(job->ext) &&
           set("UFLINE", lines->from_.s) && set("RPLINE", lines->return_path.s) &&
           set("DTLINE", lines->delivered_to.s);
}

static _Noreturn void
become_program(int message, int home, const char *command)
{
    static const int signals[] = {SIGPIPE, SIGALRM, SIGCHLD, SIGTERM, SIGINT, SIGHUP};
    sigset_t none;

    for (unsigned int i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    if (dup2(message, 0) == 0 && fchdir(home) == 0)
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(EXEC_FAILED);
}

/* Wait until pid has ended, or the deadline has come. returns false for the latter */
static bool
wait_until_ended(pid_t pid)
{
    struct pollfd entry = {.events = POLLIN};
    entry.fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (entry.fd < 0)
        return true; /* an old kernel: waitpid() will wait, without the deadline */
    int ready;
    do
        ready = poll(&entry, 1, PROGRAM_DEADLINE_S * 1000);
    while (ready < 0 && errno == EINTR);
    close(entry.fd);
    return ready != 0;
}

static enum exitcode_outcome
outcome_of(pid_t pid, struct local_result *result)
{
    int status;
    bool in_time = wait_until_ended(pid);

    if (!in_time) {
        kill(-pid, SIGKILL); /* its whole session's first group */
        kill(pid, SIGKILL);
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) {
            local_result_defer_errno(result, "wait for", "the program", "4.3.0");
            return OUTCOME_TEMPORARY;
        }
    if (!in_time)
        local_result_defer(result, "the program ran for 24 hours (#4.3.0)");
    else if (WIFSIGNALED(status))
        local_result_defer(result, "the program crashed (#4.3.0)");
    else if (WEXITSTATUS(status) == EXEC_FAILED)
        local_result_defer(result, "the program could not be run (#4.3.0)");
    return exitcode_of_program(status);
}

enum exitcode_outcome
program_run(struct local_job *job, int home, const char *command,
            struct local_result *result)
{
    int message = message_open(&job->message);
    if (message < 0) {
        local_result_defer_errno(result, "open", "the message", "4.3.0");
        return OUTCOME_TEMPORARY;
    }
    pid_t pid = fork();
    if (pid == 0)
        become_program(message, home, command);
    if (pid < 0)
        local_result_defer_errno(result, "fork for", "the program", "4.3.0");
    close(message);
    return pid < 0 ? OUTCOME_TEMPORARY : outcome_of(pid, result);
}
