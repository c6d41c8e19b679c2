#include "spawn_delivery.h"

#include <stdlib.h>
#include <string.h>

#include <sys/wait.h>

#include "child.h"
#include "clock.h"
#include "spawn_report.h"
#include "text.h"

enum {
    ATTEMPTS_MAX = 3,
    PACKETS_AT_ONCE = 64, /* from one socket, before the others have their turn */
};

/* A report that were lost would leave its message undecided for ever, so lack of memory
 * ends the spawner: everything starts again from the queue on disk. */
static void
require(struct spawn *spawn, bool ok)
{
    if (!ok)
        spawn->is_broken = true;
}

void
spawn_flush_reports(struct spawn *spawn)
{
    while (spawn->reports) {
        struct spawn_report *report = spawn->reports;
        struct handoff_parts parts = {.strings = report->strings,
                                      .strings_len = report->len};
        enum handoff_status status = handoff_send(SPAWN_FD_JOBS, &parts);
        if (status == HANDOFF_WAIT)
            return;
        if (status == HANDOFF_CLOSED)
            spawn->is_closed = true;
        require(spawn, status != HANDOFF_ERROR);
        if (status != HANDOFF_DONE)
            return;
        spawn->reports = report->next;
        free(report);
    }
}

/* Hand spawn->text over to qmail-send, now or later. */
static void
send_report(struct spawn *spawn)
{
    struct spawn_report **end = &spawn->reports;
    struct spawn_report *report = malloc(sizeof *report + spawn->text.len);
    require(spawn, report != NULL);
    if (!report)
        return;
    report->next = NULL;
    report->len = spawn->text.len;
    memcpy(report->strings, spawn->text.s, spawn->text.len);
    while (*end)
        end = &(*end)->next;
    *end = report;
    spawn_flush_reports(spawn);
}

static bool
start_report(struct spawn *spawn, const struct spawn_job *job)
{
    stralloc *text = &spawn->text;
    text->len = 0;
    bool ok = text_append_string(text, "report") && text_append_string(text, job->number);
    require(spawn, ok);
    return ok;
}

void
spawn_decide(struct spawn *spawn, struct spawn_job *job, const char *verdict)
{
    if (!job->number) {
        spawn->role->warn("ignored a mangled job", "");
    } else if (start_report(spawn, job)) {
        bool ok = spawn_report_append_all(&spawn->text, job->recipient_count, verdict);
        require(spawn, ok);
        if (ok)
            send_report(spawn);
    }
    spawn_job_free(job);
}

void
spawn_decide_program(struct spawn *spawn, struct spawn_job *job, const char *what)
{
    stralloc verdict = STRALLOC_ZERO;
    if (text_copy(&verdict, "Z") && text_append(&verdict, spawn->role->name) &&
        text_append(&verdict, what))
        spawn_decide(spawn, job, verdict.s);
    else
        require(spawn, false);
    stralloc_free(&verdict);
}

void
spawn_close_session(struct spawn *spawn, struct spawn_session *session)
{
    struct spawn_line unbegun = {0};
    struct spawn_job *job;

    spawn_session_end(session);
    spawn->is_changed = true;
    while ((job = spawn_session_take_unbegun(session)))
        spawn_line_append(&unbegun, job);
    for (struct spawn_job **end = &unbegun.first;; end = &(*end)->next)
        if (!*end) {
            *end = spawn->waiting.first;
            break;
        }
    spawn->waiting = unbegun;
    session->idle_since_ms = clock_monotonic_ms();
}

/* Take one report out of spawn->packet. */
static void
take_report(struct spawn *spawn, struct spawn_session *session)
{
    const char *verb = handoff_string(&spawn->packet, 0);
    const char *number = handoff_string(&spawn->packet, 1);
    struct spawn_job *job = NULL;

    if (verb && number && strcmp(verb, "report") == 0)
        job = spawn_session_take(session, number);
    if (!job) {
        spawn->role->warn("ignored a report about no job from", spawn->role->name);
        return;
    }
    spawn->is_changed = true;
    if (!session->job_count)
        session->idle_since_ms = clock_monotonic_ms();
    if (!start_report(spawn, job))
        return;
    int status = spawn_report_append(&spawn->text, &spawn->packet, job->recipient_count,
                                     spawn_report_room(job->recipient_count));
    require(spawn, status >= 0);
    if (status > 0) {
        send_report(spawn);
        spawn_job_free(job);
    } else {
        spawn_decide_program(spawn, job, " gave a mangled report (#4.3.0)\n");
    }
}

void
spawn_serve_session(struct spawn *spawn, struct spawn_session *session)
{
    for (int i = 0; i < PACKETS_AT_ONCE && session->socket >= 0; i++) {
        bool has_fds = false;
        enum handoff_status status = handoff_look(session->socket, &has_fds);
        if (status == HANDOFF_WAIT)
            break;
        /* no descriptor is in a report; one from a hostile process must not reach us */
        if (status == HANDOFF_DONE && !has_fds)
            status = handoff_receive(session->socket, &spawn->packet);
        if (status == HANDOFF_DONE && !has_fds)
            take_report(spawn, session);
        else
            spawn_close_session(spawn, session);
    }
    if (session->socket >= 0 && !spawn_session_flush(session))
        spawn_close_session(spawn, session);
}

/* The delivery process has ended: what it had not reported is to be tried again. */
static void
bury_session(struct spawn *spawn, struct spawn_session *session, int wait_status)
{
    struct spawn_job *job;
    const char *what = " crashed (#4.3.0)\n";

    spawn_serve_session(spawn, session);
    spawn_close_session(spawn, session);
    session->pid = 0;
    if (WIFEXITED(wait_status)) {
        int code = WEXITSTATUS(wait_status);
        what =
            code == CHILD_ROOT ? " must not run as root (#4.3.0)\n"
            : code == CHILD_SYSTEM || code == CHILD_EXEC_SOFT || code == CHILD_EXEC_HARD
                ? " cannot be started (#4.3.0)\n"
                : " ended without a report (#4.3.0)\n";
    }
    if (session->jobs && spawn->role->crashed)
        spawn->role->crashed(spawn->role->context);
    while (session->jobs && (job = spawn_session_take(session, session->jobs->number)))
        spawn_decide_program(spawn, job, what);
}

/* Begin what may begin, report and forget what is done. */
static void
advance_classics(struct spawn *spawn)
{
    struct spawn_classic **at = &spawn->classics;
    while (*at) {
        struct spawn_classic *classic = *at;
        require(spawn, spawn_classic_begin(classic, spawn->role));
        if (!start_report(spawn, classic->job))
            return;
        int done = spawn_classic_report(classic, &spawn->text);
        require(spawn, done >= 0);
        if (done <= 0) {
            at = &classic->next;
            continue;
        }
        send_report(spawn);
        *at = classic->next;
        spawn_classic_free(classic);
    }
}

void
spawn_bury(struct spawn *spawn, pid_t pid, int wait_status)
{
    for (struct spawn_session *session = spawn->sessions; session;
         session = session->next)
        if (session->pid == pid) {
            bury_session(spawn, session, wait_status);
            return;
        }
    for (struct spawn_classic *classic = spawn->classics; classic;
         classic = classic->next) {
        int is_ours = spawn_classic_reap(classic, spawn->role, pid, wait_status);
        require(spawn, is_ours >= 0);
        if (is_ours) {
            advance_classics(spawn);
            return;
        }
    }
}

/* Give job to a delivery process. returns false when it has to wait */
static bool
give(struct spawn *spawn, struct spawn_job *job)
{
    const struct spawn_role *role = spawn->role;
    struct spawn_session *session;

    enum spawn_choice choice =
        spawn_session_choose(spawn->sessions, &role->limits, &job->key, &session);
    if (choice == SPAWN_HOLD)
        return false;
    if (choice == SPAWN_REPLACE)
        spawn_close_session(spawn, session);
    if (choice != SPAWN_USE)
        session = job->attempts++ < ATTEMPTS_MAX
                      ? spawn_session_start(&spawn->sessions, role, job)
                      : NULL;
    if (!session) {
        spawn_decide_program(spawn, job, " cannot be started (#4.3.0)\n");
        return true;
    }
    spawn_session_add(session, job);
    if (!spawn_session_flush(session))
        spawn_close_session(spawn, session);
    return true;
}

static void
give_classic(struct spawn *spawn, struct spawn_job *job)
{
    struct spawn_classic *classic = spawn_classic_new(job);
    if (!classic) {
        spawn_decide_program(spawn, job, " cannot be started (#4.3.0)\n");
        return;
    }
    classic->next = spawn->classics;
    spawn->classics = classic;
    advance_classics(spawn);
}

void
spawn_dispatch(struct spawn *spawn)
{
    struct spawn_line held = {0};
    struct spawn_line line = spawn->waiting;
    struct spawn_job *job;

    spawn->is_changed = false;
    spawn->waiting = held; /* a session that breaks meanwhile puts its jobs here */
    while ((job = spawn_line_take(&line))) {
        if (spawn->role->classic)
            give_classic(spawn, job);
        else if (!give(spawn, job))
            spawn_line_append(&held, job);
    }
    while ((job = spawn_line_take(&held)))
        spawn_line_append(&spawn->waiting, job);
}

static void
free_line(struct spawn_line *line)
{
    struct spawn_job *job;
    while ((job = spawn_line_take(line)))
        spawn_job_free(job);
}

void
spawn_free(struct spawn *spawn)
{
    for (struct spawn_session *session = spawn->sessions; session;
         session = session->next) {
        struct spawn_line jobs = {.first = session->jobs};
        spawn_session_end(session);
        session->jobs = NULL;
        free_line(&jobs);
    }
    spawn_session_sweep(&spawn->sessions);
    while (spawn->classics) {
        struct spawn_classic *classic = spawn->classics;
        spawn->classics = classic->next;
        spawn_classic_free(classic);
    }
    while (spawn->reports) {
        struct spawn_report *report = spawn->reports;
        spawn->reports = report->next;
        free(report);
    }
    free_line(&spawn->resolving);
    free_line(&spawn->waiting);
    handoff_free(&spawn->packet);
    stralloc_free(&spawn->text);
}
