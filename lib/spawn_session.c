#include "spawn_session.h"

#include <stdlib.h>
#include <string.h>

#include <skalibs/djbunix.h>

#include "child.h"
#include "text.h"

static bool
has_key(const struct spawn_session *session, const stralloc *key)
{
    return session->key.len == key->len && memcmp(session->key.s, key->s, key->len) == 0;
}

enum spawn_choice
spawn_session_choose(struct spawn_session *list, const struct spawn_limits *limits,
                     const stralloc *key, struct spawn_session **chosen)
{
    struct spawn_session *least = NULL;
    struct spawn_session *idlest = NULL;
    unsigned int of_key = 0;
    unsigned int total = 0;

    for (struct spawn_session *session = list; session; session = session->next) {
        if (session->socket < 0)
            continue;
        total++;
        if (has_key(session, key)) {
            of_key++;
            if (!least || session->job_count < least->job_count)
                least = session;
        } else if (!session->job_count &&
                   (!idlest || session->idle_since_ms < idlest->idle_since_ms)) {
            idlest = session;
        }
    }
    *chosen = least;
    if (least && !least->job_count)
        return SPAWN_USE;
    if (of_key < limits->per_key && total < limits->total)
        return SPAWN_START;
    if (of_key < limits->per_key && idlest) {
        *chosen = idlest;
        return SPAWN_REPLACE;
    }
    return least && least->job_count <= limits->ahead ? SPAWN_USE : SPAWN_HOLD;
}

struct spawn_session *
spawn_session_start(struct spawn_session **list, const struct spawn_role *role,
                    const struct spawn_job *job)
{
    const char *const arguments[] = {role->program, "-S", NULL};
    int sockets[2];

    struct spawn_session *session = calloc(1, sizeof *session);
    if (!session)
        return NULL;
    if (!stralloc_copy(&session->key, &job->key) || !handoff_pair(sockets)) {
        stralloc_free(&session->key);
        free(session);
        return NULL;
    }
    struct child_plan plan = {.arguments = arguments,
                              .identity = &job->identity,
                              .input = sockets[1],
                              .output = -1};
    session->pid = ndelay_on(sockets[0]) < 0 ? -1 : child_start(&plan);
    fd_close(sockets[1]);
    if (session->pid < 0) {
        fd_close(sockets[0]);
        stralloc_free(&session->key);
        free(session);
        return NULL;
    }
    session->socket = sockets[0];
    session->in_order = role->limits.in_order;
    session->next = *list;
    *list = session;
    return session;
}

void
spawn_session_add(struct spawn_session *session, struct spawn_job *job)
{
    struct spawn_job **end = &session->jobs;
    while (*end)
        end = &(*end)->next;
    job->next = NULL;
    job->is_sent = false;
    *end = job;
    session->job_count++;
}

static enum handoff_status
send_job(int socket, const struct spawn_job *job)
{
    struct handoff_parts parts = {.strings = job->request.s,
                                  .strings_len = job->request.len};
    message_attach(&job->message, &parts);
    return handoff_send(socket, &parts);
}

/* Can the process have begun with this job, which has been sent to it? */
static bool
may_have_begun(const struct spawn_session *session, const struct spawn_job *job)
{
    return job == session->jobs || !session->in_order;
}

bool
spawn_session_flush(struct spawn_session *session)
{
    for (struct spawn_job *job = session->jobs; job; job = job->next) {
        if (!job->is_sent) {
            enum handoff_status status = send_job(session->socket, job);
            if (status == HANDOFF_WAIT)
                return true;
            if (status != HANDOFF_DONE)
                return false;
            job->is_sent = true;
        }
        if (may_have_begun(session, job))
            message_close(&job->message);
    }
    return true;
}

bool
spawn_session_wants_to_send(const struct spawn_session *session)
{
    for (const struct spawn_job *job = session->jobs; job; job = job->next)
        if (!job->is_sent)
            return true;
    return false;
}

struct spawn_job *
spawn_session_take(struct spawn_session *session, const char *number)
{
    for (struct spawn_job **at = &session->jobs; *at; at = &(*at)->next) {
        struct spawn_job *job = *at;
        if (strcmp(job->number, number) == 0) {
            *at = job->next;
            job->next = NULL;
            session->job_count--;
            return job;
        }
    }
    return NULL;
}

struct spawn_job *
spawn_session_take_unbegun(struct spawn_session *session)
{
    for (struct spawn_job *job = session->jobs; job; job = job->next)
        if (!job->is_sent || !may_have_begun(session, job))
            return spawn_session_take(session, job->number);
    return NULL;
}

void
spawn_session_end(struct spawn_session *session)
{
    if (session->socket >= 0)
        handoff_drop(session->socket);
    session->socket = -1;
}

void
spawn_session_sweep(struct spawn_session **list)
{
    while (*list) {
        struct spawn_session *session = *list;
        if (session->socket >= 0 || session->jobs) {
            list = &session->next;
            continue;
        }
        *list = session->next;
        stralloc_free(&session->key);
        free(session);
    }
}
