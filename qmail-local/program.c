#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "control.h"
#include "text.h"

enum {
    EXEC_FAILED = 120, /* only the child before exec ends with it */
    PROCESSES = 1000,  /* unless control/maxprocesses says otherwise */
};

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

/* From here on this process and what it starts cannot bring the user above so many; 0:
 * any number. The kernel counts all processes and threads that the user has. It would not
 * let a user who has more already become qmail-local, so the limit is not set before. */
static bool
limit_processes(uint64_t maximum)
{
    struct rlimit limit;

    if (!maximum)
        return true;
    if (getrlimit(RLIMIT_NPROC, &limit) < 0)
        return false;
    if (maximum < limit.rlim_max)
        limit.rlim_max = maximum;
    if (limit.rlim_max < limit.rlim_cur)
        limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NPROC, &limit) == 0;
}

static _Noreturn void
become_program(int message, int home, const char *command, uint64_t processes)
{
    static const int signals[] = {SIGPIPE, SIGALRM, SIGCHLD, SIGTERM, SIGINT, SIGHUP};
    sigset_t none;

    for (unsigned int i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    if (limit_processes(processes) && dup2(message, 0) == 0 && fchdir(home) == 0)
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

/* Has pid, which ends now, neither succeeded nor asked to stop? It is not reaped yet. */
static bool
has_failed(pid_t pid)
{
    siginfo_t info = {0};
    while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0)
        if (errno != EINTR)
            return true;
    return info.si_code != CLD_EXITED ||
           (info.si_status != EXITCODE_OK && info.si_status != EXITCODE_STOP);
}

static enum exitcode_outcome
outcome_of(pid_t pid, struct local_result *result)
{
    int status;
    bool in_time = wait_until_ended(pid);

    if (!in_time)
        kill(pid, SIGKILL);
    /* What a success leaves in the background may go on. A failure may be repeated
     * every few minutes, and would leave more each time. While pid is not reaped, nobody
     * else has its number. */
    if (has_failed(pid))
        kill(-pid, SIGKILL);
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
    uint64_t processes = PROCESSES;
    if (control_read_number(&processes, "control/maxprocesses") == CONTROL_ERROR) {
        local_result_defer_errno(result, "read", "control/maxprocesses", "4.3.0");
        return OUTCOME_TEMPORARY;
    }
    int message = message_open(&job->message);
    if (message < 0) {
        local_result_defer_errno(result, "open", "the message", "4.3.0");
        return OUTCOME_TEMPORARY;
    }
    pid_t pid = fork();
    if (pid == 0)
        become_program(message, home, command, processes);
    if (pid < 0)
        local_result_defer_errno(result, "fork for", "the program", "4.3.0");
    close(message);
    return pid < 0 ? OUTCOME_TEMPORARY : outcome_of(pid, result);
}
