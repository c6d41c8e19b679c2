#include "spawn_classic.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/djbunix.h>

#include "child.h"
#include "spawn_job.h"
#include "spawn_report.h"
#include "text.h"

enum {
    ARGUMENTS_MAX = 16,
    SHARED_FROM = 3, /* strings of a request before those that are arguments */
    OUTPUT_MAX = 64 * 1024,
    CHUNK = 4096,
    CHUNKS_AT_ONCE = 32, /* a program that never stops writing must not keep us */
};

struct spawn_classic *
spawn_classic_new(struct spawn_job *job)
{
    struct spawn_classic *classic = calloc(1, sizeof *classic);
    if (!classic)
        return NULL;
    classic->runs = calloc(job->recipient_count, sizeof *classic->runs);
    if (!classic->runs) {
        free(classic);
        return NULL;
    }
    classic->job = job;
    for (unsigned int i = 0; i < job->recipient_count; i++)
        classic->runs[i].output = -1;
    return classic;
}

/* The index-th of the strings that follow each other from first. */
static const char *
string_after(const char *first, unsigned int index)
{
    while (index--)
        first += strlen(first) + 1;
    return first;
}

/* Start the program for one recipient; the run's output is set.
 * returns  true, or false with errno */
static bool
start_run(struct spawn_classic *classic, const struct spawn_role *role,
          unsigned int recipient)
{
    struct spawn_job *job = classic->job;
    const char *arguments[ARGUMENTS_MAX];
    size_t count = 0;
    int report[2];

    arguments[count++] = role->classic;
    if (role->classic_first)
        arguments[count++] = role->classic_first;
    for (unsigned int i = 0; i < role->classic_shared && count < ARGUMENTS_MAX - 2; i++)
        arguments[count++] = string_after(job->request.s, SHARED_FROM + i);
    if (role->classic_recipient)
        arguments[count++] = string_after(job->recipients, recipient);
    arguments[count] = NULL;

    int message = message_open(&job->message);
    if (message < 0)
        return false;
    if (pipe2(report, O_CLOEXEC) < 0) {
        fd_close(message);
        return false;
    }
    struct child_plan plan = {.arguments = arguments,
                              .identity = &job->identity,
                              .input = message,
                              .output = report[1],
                              .whole_environment = true};
    pid_t pid = ndelay_on(report[0]) < 0 ? -1 : child_start(&plan);
    fd_close(message);
    fd_close(report[1]);
    if (pid < 0) {
        fd_close(report[0]);
        return false;
    }
    classic->runs[recipient].pid = pid;
    classic->runs[recipient].output = report[0];
    return true;
}

bool
spawn_classic_begin(struct spawn_classic *classic, const struct spawn_role *role)
{
    unsigned int running = 0;
    for (unsigned int i = 0; i < classic->job->recipient_count; i++)
        running += classic->runs[i].pid != 0;
    for (unsigned int i = 0; i < classic->job->recipient_count; i++) {
        struct spawn_run *run = &classic->runs[i];
        if (running >= SPAWN_CLASSIC_PARALLEL)
            break;
        if (run->is_done || run->pid)
            continue;
        if (start_run(classic, role, i)) {
            running++;
            continue;
        }
        if (!text_copy(&run->text, "Zthe delivery program cannot be started (#4.3.0)\n"))
            return false;
        run->is_done = true;
    }
    return true;
}

void
spawn_classic_read(struct spawn_run *run)
{
    char chunk[CHUNK];
    for (int i = 0; i < CHUNKS_AT_ONCE && run->output >= 0; i++) {
        ssize_t got = read(run->output, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0) {
            close(run->output);
            run->output = -1;
            return;
        }
        size_t room = OUTPUT_MAX - run->text.len;
        /* without memory the report is cut, and so mangled, and so temporary */
        (void)text_append_bytes(&run->text, chunk,
                                (size_t)got < room ? (size_t)got : room);
    }
}

int
spawn_classic_reap(struct spawn_classic *classic, const struct spawn_role *role,
                   pid_t pid, int wait_status)
{
    for (unsigned int i = 0; i < classic->job->recipient_count; i++) {
        struct spawn_run *run = &classic->runs[i];
        stralloc report = STRALLOC_ZERO;
        if (run->pid != pid)
            continue;
        spawn_classic_read(run);
        if (run->output >= 0)
            close(
                run->output); /* somebody else still holds the other end: not our wait */
        run->output = -1;
        run->pid = 0;
        if (!role->classic_report(&report, role->name, wait_status, &run->text))
            return -1;
        stralloc_free(&run->text);
        run->text = report;
        run->is_done = true;
        return 1;
    }
    return 0;
}

int
spawn_classic_report(const struct spawn_classic *classic, stralloc *out)
{
    unsigned int count = classic->job->recipient_count;
    size_t room = spawn_report_room(count);

    for (unsigned int i = 0; i < count; i++)
        if (!classic->runs[i].is_done)
            return 0;
    for (unsigned int i = 0; i < count; i++)
        if (!spawn_report_append_one(out, classic->runs[i].text.s, room))
            return -1;
    return 1;
}

void
spawn_classic_kill(struct spawn_classic *classic)
{
    for (unsigned int i = 0; i < classic->job->recipient_count; i++)
        if (classic->runs[i].pid)
            kill(-classic->runs[i].pid, SIGKILL);
}

void
spawn_classic_free(struct spawn_classic *classic)
{
    for (unsigned int i = 0; i < classic->job->recipient_count; i++) {
        if (classic->runs[i].output >= 0)
            close(classic->runs[i].output);
        stralloc_free(&classic->runs[i].text);
    }
    spawn_job_free(classic->job);
    free(classic->runs);
    free(classic);
}
