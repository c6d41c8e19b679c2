#include "local_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/syscall.h>
#include <sys/wait.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/djbunix.h>

#include "exitcode.h"
#include "local_deliver.h"
#include "local_report.h"
#include "text.h"

enum { FIRST_ROOM = 4 };

/* More places. returns true, or false with errno */
static bool
grow(struct local_children *children)
{
    unsigned int room = children->room ? 2 * children->room : FIRST_ROOM;
    struct local_child *running =
        reallocarray(children->running, room, sizeof *children->running);
    if (!running)
        return false;
    children->running = running;
    struct pollfd *polls =
        reallocarray(children->polls, 2 * (size_t)room + 1, sizeof *children->polls);
    if (!polls)
        return false;
    children->polls = polls;
    memset(running + children->room, 0, (room - children->room) * sizeof *running);
    children->room = room;
    return true;
}

bool
local_children_init(struct local_children *children, int socket)
{
    memset(children, 0, sizeof *children);
    children->socket = socket;
    return grow(children);
}

void
local_children_free(struct local_children *children)
{
    for (unsigned int i = 0; i < children->room; i++) {
        stralloc_free(&children->running[i].number);
        stralloc_free(&children->running[i].text);
    }
    free(children->running);
    free(children->polls);
    *children = (struct local_children){.socket = -1};
}

bool
local_children_idle(const struct local_children *children)
{
    return !children->count && !children->first;
}

/* In the child: deliver, print the report, end. */
static _Noreturn void
work(struct local_job *job, int output)
{
    struct local_plan plan = {.home = -1};
    struct local_result result = {0};

    /* the session's socket: a program must not have it, and it must close with it */
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0)
        _exit(EXITCODE_TEMPORARY);
    if (local_plan_make(&plan, job, false, &result))
        local_deliver(job, &plan, true, &result);
    if (allwrite(1, result.text.s, result.text.len) < result.text.len)
        _exit(EXITCODE_TEMPORARY);
    _exit((int)result.code);
}

static bool
fork_child(struct local_child *child, struct local_job *job)
{
    int output[2];

    if (pipe2(output, O_CLOEXEC) < 0)
        return false;
    pid_t pid = fork();
    if (pid == 0)
        work(job, output[1]);
    fd_close(output[1]);
    if (pid < 0) {
        fd_close(output[0]);
        return false;
    }
    child->pid = pid;
    child->output = output[0];
    /* without (an old kernel) the end of its output tells that it has ended */
    child->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    (void)fcntl(output[0], F_SETFL, O_NONBLOCK);
    return true;
}

static bool
start(struct local_children *children, const char *number, struct local_job *job)
{
    if (children->count == children->room && !grow(children))
        return false;
    struct local_child *child = children->running;
    while (child->pid)
        child++;
    child->text.len = 0;
    if (!text_copy(&child->number, number) || !fork_child(child, job))
        return false;
    children->count++;
    message_close(&job->message);
    return true;
}

/* Copy one string; returns its place in strings, or -1 */
static ssize_t
keep(stralloc *strings, const char *text)
{
    size_t at = strings->len;
    return text_append_bytes(strings, text, strlen(text) + 1) ? (ssize_t)at : -1;
}

static bool
copy_strings(struct local_waiting *waiting, const char *number)
{
    struct local_job *job = &waiting->job;
    const char **members[] = {&waiting->number, &job->user,   &job->home,
                              &job->local,      &job->dash,   &job->ext,
                              &job->domain,     &job->sender, &job->defaultdelivery};
    enum { COUNT = sizeof members / sizeof *members };
    ssize_t places[COUNT];

    waiting->number = number;
    for (unsigned int i = 0; i < COUNT; i++)
        if ((places[i] = keep(&waiting->strings, *members[i])) < 0)
            return false;
    for (unsigned int i = 0; i < COUNT; i++)
        *members[i] = waiting->strings.s + places[i];
    return true;
}

static bool
enqueue(struct local_children *children, const char *number, const struct local_job *job)
{
    struct local_waiting *waiting = calloc(1, sizeof *waiting);
    if (!waiting)
        return false;
    waiting->job = *job;
    if (!copy_strings(waiting, number)) {
        stralloc_free(&waiting->strings);
        free(waiting);
        return false;
    }
    if (children->last)
        children->last->next = waiting;
    else
        children->first = waiting;
    children->last = waiting;
    return true;
}

/* Can it be that there are just too many processes now? */
static bool
is_shortage(const struct local_children *children, int error)
{
    return children->count &&
           (error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE);
}

bool
local_children_add(struct local_children *children, const char *number,
                   struct local_job *job)
{
    if (!children->first) {
        if (start(children, number, job))
            return true;
        if (!is_shortage(children, errno))
            return false;
    }
    return enqueue(children, number, job);
}

/* Take the first waiting job off the list; null when there is none. */
static struct local_waiting *
take_waiting(struct local_children *children)
{
    struct local_waiting *waiting = children->first;
    if (!waiting)
        return NULL;
    children->first = waiting->next;
    if (!children->first)
        children->last = NULL;
    return waiting;
}

static void
free_waiting(struct local_waiting *waiting)
{
    message_close(&waiting->job.message);
    stralloc_free(&waiting->strings);
    free(waiting);
}

void
local_children_forget_waiting(struct local_children *children)
{
    struct local_waiting *waiting;
    while ((waiting = take_waiting(children)))
        free_waiting(waiting);
}

/* Start what waits, as far as it can be. */
static bool
start_waiting(struct local_children *children)
{
    struct local_waiting *waiting;
    bool ok = true;

    while (ok && (waiting = children->first)) {
        if (!start(children, waiting->number, &waiting->job)) {
            struct local_result sorry = {0};
            if (is_shortage(children, errno))
                break;
            local_result_defer_errno(&sorry, "start", "a process", "4.3.0");
            ok = local_report_send(children->socket, waiting->number, sorry.code,
                                   &sorry.text);
            local_result_free(&sorry);
        }
        free_waiting(take_waiting(children));
    }
    return ok;
}

size_t
local_children_poll(struct local_children *children)
{
    struct pollfd *entries = children->polls;
    size_t count = 0;
    for (unsigned int i = 0; i < children->room; i++) {
        const struct local_child *child = &children->running[i];
        if (!child->pid)
            continue;
        if (child->output >= 0)
            entries[count++] = (struct pollfd){.fd = child->output, .events = POLLIN};
        if (child->pidfd >= 0)
            entries[count++] = (struct pollfd){.fd = child->pidfd, .events = POLLIN};
    }
    return count;
}

/* Take what the child has written; more than a report's worth loses its middle. */
static void
read_output(struct local_child *child)
{
    char chunk[4096];
    ssize_t got = -1;

    while (child->output >= 0 && (got = read(child->output, chunk, sizeof chunk)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return;
        if (got < 0)
            break;
        if (text_append_bytes(&child->text, chunk, (size_t)got))
            local_report_shorten(&child->text);
    }
    if (child->output >= 0)
        close(child->output);
    child->output = -1;
}

static bool
finish(struct local_children *children, struct local_child *child, int status)
{
    unsigned int code = EXITCODE_TEMPORARY;

    read_output(child);
    if (WIFEXITED(status))
        code = (unsigned int)WEXITSTATUS(status);
    else
        (void)text_append(&child->text, "the delivery crashed (#4.3.0)\n");
    if (code != EXITCODE_OK)
        children->had_failure = true;
    if (child->output >= 0)
        close(child->output); /* a program in the background still has it */
    if (child->pidfd >= 0)
        close(child->pidfd);
    child->pid = 0;
    children->count--;
    return local_report_send(children->socket, child->number.s, code, &child->text);
}

bool
local_children_serve(struct local_children *children)
{
    bool ok = true;
    size_t count = local_children_poll(children);
    const struct pollfd *entry = children->polls;

    if (count && poll(children->polls, (nfds_t)count, 0) < 0)
        return errno == EINTR;
    for (unsigned int i = 0; i < children->room; i++) {
        struct local_child *child = &children->running[i];
        int status;
        if (!child->pid)
            continue;
        bool is_ready = child->output >= 0 && (entry++)->revents;
        is_ready |= child->pidfd >= 0 && (entry++)->revents;
        if (!is_ready)
            continue;
        read_output(child);
        bool must_wait = child->pidfd < 0 && child->output < 0;
        if (waitpid(child->pid, &status, must_wait ? 0 : WNOHANG) == child->pid)
            ok = finish(children, child, status) && ok;
    }
    return start_waiting(children) && ok;
}
