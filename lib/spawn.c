#include "spawn.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/syscall.h>
#include <sys/wait.h>

#include <skalibs/djbunix.h>
#include <skalibs/selfpipe.h>
#include <skalibs/sig.h>

#include "clock.h"
#include "control.h"
#include "spawn_delivery.h"

enum {
    TOTAL_MAX = 100000, /* descriptors and memory are the real limits */
    IDLE_MAX_S = 24 * 3600,
    LOWEST_FREE = 3,
    HIGHEST_INHERITED = 1024,
    JOB_LIMIT_MS = 24 * 3600 * 1000, /* qmail's deliveries have always had a day */
    JOBS_AT_ONCE = 64, /* from qmail-send, before delivery processes have their turn */
    LINGER_MS = 2000,  /* from a closed socket to the exit */
    TICK_MS = 1000,
    SLOW_TICK_MS = 60 * 1000,
    FIRST_SESSION = 3, /* after descriptor 0, the signals and the helper */
};

/* Poll's array, and beside it what each entry from FIRST_SESSION on is about. */
struct watch {
    struct pollfd *entries;
    struct watched {
        struct spawn_session *session;
        struct spawn_run *run;
    } * subjects;
    size_t count;
    size_t capacity;
    int signals;
};

static void
prepare_job(struct spawn *spawn, struct spawn_job *job)
{
    enum spawn_answer answer =
        job->verdict ? SPAWN_DECIDED : spawn->role->prepare(spawn->role->context, job);
    job->deadline_ms = clock_monotonic_ms() + JOB_LIMIT_MS;
    if (answer == SPAWN_WAITS) {
        spawn_line_append(&spawn->resolving, job);
    } else if (answer == SPAWN_READY) {
        spawn_line_append(&spawn->waiting, job);
        spawn->is_changed = true;
    } else {
        spawn_decide(spawn, job, job->verdict);
    }
}

static void
receive_jobs(struct spawn *spawn)
{
    for (int i = 0; i < JOBS_AT_ONCE; i++) {
        enum handoff_status status = handoff_receive(SPAWN_FD_JOBS, &spawn->packet);
        if (status == HANDOFF_WAIT)
            return;
        if (status == HANDOFF_CLOSED) {
            spawn->is_closed = true;
            return;
        }
        if (status == HANDOFF_ERROR && errno == EPROTO) {
            spawn->role->warn("ignored a mangled packet", "from qmail-send");
            continue;
        }
        struct spawn_job *job =
            status == HANDOFF_DONE ? spawn_job_take(&spawn->packet, "queue/drop") : NULL;
        if (!job) {
            spawn->is_broken = true;
            return;
        }
        prepare_job(spawn, job);
    }
}

/* Take the answers that are there, oldest question first. */
static void
collect_answers(struct spawn *spawn)
{
    while (spawn->resolving.first) {
        struct spawn_job *job = spawn->resolving.first;
        enum spawn_answer answer = spawn->role->collect(spawn->role->context, job);
        if (answer == SPAWN_WAITS)
            return;
        (void)spawn_line_take(&spawn->resolving);
        if (answer == SPAWN_READY) {
            spawn_line_append(&spawn->waiting, job);
            spawn->is_changed = true;
        } else {
            spawn_decide(spawn, job, job->verdict);
        }
    }
}

static void
reap_children(struct spawn *spawn)
{
    int status;
    pid_t pid;
    while (selfpipe_read() > 0)
        ;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        spawn_bury(spawn, pid, status);
}

/* End idle delivery processes whose time is over, and those that hang.
 * returns  milliseconds until the next of these may be due; -1: nothing to wait for */
static int
watch_the_clock(struct spawn *spawn)
{
    int64_t now = clock_monotonic_ms();
    int64_t idle_ms = (int64_t)spawn->role->limits.idle_s * 1000;
    int64_t wait = spawn->resolving.first ? TICK_MS : -1;

    for (struct spawn_session *session = spawn->sessions; session;
         session = session->next) {
        int64_t left = SLOW_TICK_MS;
        if (session->socket < 0) {
            left = session->idle_since_ms + LINGER_MS - now;
            if (left <= 0 && session->jobs && session->pid > 0)
                kill(session->pid, SIGKILL);
        } else if (!session->job_count) {
            left = session->idle_since_ms + idle_ms - now;
            if (left <= 0)
                spawn_close_session(spawn, session);
        } else if (now > session->jobs->deadline_ms) {
            spawn->role->warn("killed a delivery process that hangs", session->key.s);
            kill(-session->pid, SIGKILL);
        }
        if (left > 0 && (wait < 0 || left < wait))
            wait = left;
    }
    for (struct spawn_classic *classic = spawn->classics; classic;
         classic = classic->next) {
        if (now > classic->job->deadline_ms)
            spawn_classic_kill(classic);
        if (wait < 0)
            wait = SLOW_TICK_MS;
    }
    return spawn->is_changed ? 0 : (int)wait;
}

static bool
add_watch(struct watch *watch, int fd, short events, struct watched subject)
{
    if (watch->count == watch->capacity) {
        size_t capacity = watch->capacity ? 2 * watch->capacity : 64;
        void *entries = realloc(watch->entries, capacity * sizeof *watch->entries);
        if (entries)
            watch->entries = entries;
        void *subjects = realloc(watch->subjects, capacity * sizeof *watch->subjects);
        if (subjects)
            watch->subjects = subjects;
        if (!entries || !subjects)
            return false;
        watch->capacity = capacity;
    }
    watch->entries[watch->count] = (struct pollfd){.fd = fd, .events = events};
    watch->subjects[watch->count++] = subject;
    return true;
}

static bool
fill_watch(struct spawn *spawn, struct watch *watch)
{
    const struct spawn_role *role = spawn->role;
    short on_jobs = spawn->reports ? POLLIN | POLLOUT : POLLIN;
    const struct watched nobody = {0};

    watch->count = 0;
    bool ok =
        add_watch(watch, SPAWN_FD_JOBS, on_jobs, nobody) &&
        add_watch(watch, watch->signals, POLLIN, nobody) &&
        add_watch(watch, spawn->resolving.first ? role->wait_socket(role->context) : -1,
                  POLLIN, nobody);
    for (struct spawn_session *session = spawn->sessions; ok && session;
         session = session->next)
        if (session->socket >= 0)
            ok = add_watch(watch, session->socket,
                           spawn_session_wants_to_send(session) ? POLLIN | POLLOUT
                                                                : POLLIN,
                           (struct watched){.session = session});
    for (struct spawn_classic *classic = spawn->classics; ok && classic;
         classic = classic->next)
        for (unsigned int i = 0; ok && i < classic->job->recipient_count; i++)
            if (classic->runs[i].output >= 0)
                ok = add_watch(watch, classic->runs[i].output, POLLIN,
                               (struct watched){.run = &classic->runs[i]});
    return ok;
}

/* One turn: wait, then serve what is ready. Delivery processes first, because
 * serving them does not free what `watch` points at; that is done in between turns
 * and by reap_children. */
static void
turn(struct spawn *spawn, struct watch *watch, int wait_ms)
{
    if (poll(watch->entries, (nfds_t)watch->count, wait_ms) < 0) {
        spawn->is_broken = errno != EINTR;
        return;
    }
    for (size_t i = FIRST_SESSION; i < watch->count; i++) {
        const struct watched *subject = &watch->subjects[i];
        if (!watch->entries[i].revents)
            continue;
        if (subject->session)
            spawn_serve_session(spawn, subject->session);
        else
            spawn_classic_read(subject->run);
    }
    if (watch->entries[1].revents)
        reap_children(spawn);
    if (spawn->resolving.first)
        collect_answers(spawn);
    if (watch->entries[0].revents & POLLOUT)
        spawn_flush_reports(spawn);
    if (watch->entries[0].revents & (POLLIN | POLLHUP | POLLERR))
        receive_jobs(spawn);
}

/* What a careless parent left open must not reach anybody's delivery process. */
static void
close_inherited(void)
{
    if (syscall(SYS_close_range, LOWEST_FREE, ~0U, 0) == 0)
        return;
    for (int fd = LOWEST_FREE; fd < HIGHEST_INHERITED; fd++)
        close(fd);
}

bool
spawn_read_limits(struct spawn_limits *limits)
{
    uint64_t total = limits->total;
    uint64_t idle_s = limits->idle_s;
    if (control_read_number(&total, "control/sessions") == CONTROL_ERROR ||
        control_read_number(&idle_s, "control/sessionidle") == CONTROL_ERROR)
        return false;
    limits->total = total < 1 ? 1 : total > TOTAL_MAX ? TOTAL_MAX : (unsigned int)total;
    limits->idle_s = idle_s > IDLE_MAX_S ? IDLE_MAX_S : idle_s;
    return true;
}

bool
spawn_run(const struct spawn_role *role)
{
    struct spawn spawn = {.role = role};
    struct watch watch = {0};

    close_inherited();
    watch.signals = selfpipe_init();
    if (watch.signals < 0 || !selfpipe_trap(SIGCHLD) || !sig_ignore(SIGPIPE) ||
        ndelay_on(SPAWN_FD_JOBS) < 0)
        return false;
    while (!spawn.is_closed && !spawn.is_broken) {
        spawn_session_sweep(&spawn.sessions);
        while (spawn.is_changed && !spawn.is_broken)
            spawn_dispatch(&spawn);
        int wait_ms = watch_the_clock(&spawn);
        if (fill_watch(&spawn, &watch))
            turn(&spawn, &watch, wait_ms);
        else
            spawn.is_broken = true;
    }
    int saved = errno;
    spawn_free(&spawn);
    free(watch.entries);
    free(watch.subjects);
    errno = saved;
    return !spawn.is_broken;
}
