#include "local_session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/prctl.h>

#include <skalibs/types.h>

#include "clock.h"
#include "exitcode.h"
#include "handoff.h"
#include "local_child.h"
#include "local_deliver.h"
#include "local_report.h"
#include "local_route.h"
#include "maildir_batch.h"
#include "text.h"

enum {
    JOB_STRINGS = 11,   /* and perhaps "again" */
    GRACE_US = 1000000, /* between the acceptance of a message and its first delivery */
    LINGER_MS = 20,     /* for the next batch: its flush makes our renames durable */
};

struct session {
    int socket;
    bool is_closed;          /* no more jobs will come */
    bool is_quiet;           /* nothing came while we lingered */
    uint64_t suspect_before; /* queue ids below may have been delivered already */
    struct handoff packet;
    struct durable durable;
    struct maildir_cache cache;
    struct maildir_batch batches[2];
    struct maildir_batch *filled, *published;
    struct local_children children;
    struct local_routes routes;
    struct local_plan plan; /* memory to reuse */
};

/* Queue ids are the time of acceptance. What was accepted before this process began may
 * have been delivered by one that crashed; what failed here may have been delivered in
 * part. Only such messages are looked for in new/ and cur/ before they are delivered, so
 * normally that costs nothing. */
static void
suspect_before(struct session *session, uint64_t id)
{
    session->suspect_before = id;
    maildir_cache_forget_names(&session->cache);
}

static bool
report_batch(struct session *session, struct maildir_batch *batch)
{
    bool ok = true;
    for (size_t i = 0; i < batch->job_count; i++) {
        struct maildir_batch_job *job = &batch->jobs[i];
        const unsigned int counts[3] = {job->files, 0, 0};
        if (job->result.code == EXITCODE_OK)
            local_result_count(&job->result, counts);
        ok = local_report_send(session->socket, job->number.s, job->result.code,
                               &job->result.text) &&
             ok;
    }
    maildir_batch_reset(batch);
    return ok;
}

/* One flush: the published batch becomes done, the filled one published. */
static bool
turn(struct session *session)
{
    struct maildir_batch *filled = session->filled;

    if (!maildir_batch_turn(filled, session->published, &session->durable))
        suspect_before(session, clock_real_us());
    bool ok = report_batch(session, session->published);
    session->filled = session->published;
    session->published = filled;
    session->cache.round++;
    session->is_quiet = false;
    return ok;
}

static bool
finish_batches(struct session *session)
{
    bool ok = true;
    while (ok && (session->filled->job_count || session->published->job_count))
        ok = turn(session);
    return ok;
}

static bool
add_file(struct session *session, const struct local_job *job, struct local_route *route,
         unsigned int index)
{
    const struct local_plan *plan = &session->plan;
    const char *path = route->paths[index];
    stralloc name = STRALLOC_ZERO;
    unsigned int nth = 0;

    for (unsigned int i = 0; i < index; i++)
        nth += strcmp(route->paths[i], path) == 0;
    if (!route->slots[index])
        route->slots[index] =
            maildir_cache_get(&session->cache, plan->home, job->home, path);
    bool ok =
        route->slots[index] && maildir_make_name(&name, job, path, nth) &&
        maildir_batch_add(session->filled, route->slots[index], &name, job, &plan->lines);
    stralloc_free(&name);
    return ok;
}

/* returns  true: the job is in the batch; false with errno */
static bool
add_to_batch(struct session *session, const char *number, const struct local_job *job,
             struct local_route *route)
{
    if (!maildir_batch_begin(session->filled, number))
        return false;
    for (unsigned int i = 0; i < route->count; i++)
        if (!add_file(session, job, route, i)) {
            int saved = errno;
            maildir_batch_cancel(session->filled);
            errno = saved;
            return false;
        }
    route->round = session->cache.round;
    return true;
}

static bool
report(struct session *session, const char *number, struct local_result *result)
{
    return local_report_send(session->socket, number, result->code, &result->text);
}

static bool
deliver_in_batch(struct session *session, const char *number, const struct local_job *job,
                 struct local_route *route)
{
    struct local_result result = {0};

    if (add_to_batch(session, number, job, route))
        return true;
    if (errno == EBUSY) { /* of descriptors: go on when no Maildir is in use */
        if (!finish_batches(session))
            return false;
        memset(route->slots, 0, sizeof route->slots);
        if (add_to_batch(session, number, job, route))
            return true;
    }
    bool is_missing = errno == ENOENT || errno == ENOTDIR;
    local_result_defer_errno(&result, is_missing ? "open" : "write to", "the maildir",
                             is_missing ? "4.2.1" : "4.3.0");
    bool ok = report(session, number, &result);
    local_result_free(&result);
    return ok;
}

/* A job whose .qmail file has not been read in this round. */
static bool
deliver_anew(struct session *session, const char *number, struct local_job *job,
             struct local_result *result)
{
    if (!local_plan_make(&session->plan, job, false, result))
        return report(session, number, result);
    struct local_route *route =
        local_route_make(&session->routes, job, &session->plan.file);
    if (route)
        return deliver_in_batch(session, number, job, route);
    if (local_children_add(&session->children, number, job)) {
        job->message = (struct message){.fd = -1}; /* the children have it */
        return true;
    }
    local_result_defer_errno(result, "start", "a process", "4.3.0");
    return report(session, number, result);
}

static bool
deliver(struct session *session, const char *number, struct local_job *job)
{
    struct local_result result = {0};
    struct local_route *route =
        local_route_find(&session->routes, job, session->cache.round);
    bool ok;

    if (!route)
        ok = deliver_anew(session, number, job, &result);
    else if (local_plan_check_message(&session->plan, job, &result))
        ok = deliver_in_batch(session, number, job, route);
    else
        ok = report(session, number, &result);
    local_result_free(&result);
    if (session->plan.home >= 0)
        close(session->plan.home);
    session->plan.home = -1;
    return ok;
}

static bool
understand_job(const struct handoff *packet, struct local_job *job, const char **number)
{
    const char *strings[JOB_STRINGS];

    for (size_t i = 0; i < JOB_STRINGS; i++)
        if (!(strings[i] = handoff_string(packet, i)))
            return false;
    *number = strings[1];
    *job = (struct local_job){.user = strings[3],
                              .home = strings[4],
                              .local = strings[5],
                              .dash = strings[6],
                              .ext = strings[7],
                              .domain = strings[8],
                              .sender = strings[9],
                              .defaultdelivery = strings[10],
                              .message = {.fd = -1}};
    return strcmp(strings[0], "job") == 0 && uint640_scan(strings[2], &job->id);
}

static bool
serve_job(struct session *session)
{
    struct local_job job;
    struct local_result result = {0};
    const char *number = NULL;
    bool ok;

    if (!understand_job(&session->packet, &job, &number))
        return number == NULL || /* nobody to tell */
               (local_result_defer(&result, "the job is mangled (#4.3.0)"),
                report(session, number, &result));
    const char *again = handoff_string(&session->packet, JOB_STRINGS);
    job.may_repeat =
        job.id < session->suspect_before || (again && strcmp(again, "again") == 0);
    if (!message_take(&job.message, &session->packet)) {
        local_result_defer_errno(&result, "read", "the message", "4.3.0");
        ok = report(session, number, &result);
    } else {
        ok = deliver(session, number, &job);
    }
    message_close(&job.message);
    local_result_free(&result);
    return ok;
}

/* Take the jobs that wait in the socket, as many as a batch holds. */
static bool
take_jobs(struct session *session)
{
    bool ok = true;

    for (unsigned int i = 0; ok && !session->is_closed && i < MAILDIR_BATCH_JOBS; i++) {
        if (!maildir_batch_has_room(session->filled, LOCAL_ROUTE_MAILDIRS))
            return true;
        switch (handoff_receive(session->socket, &session->packet)) {
        case HANDOFF_DONE:
            ok = serve_job(session);
            break;
        case HANDOFF_WAIT:
            return true;
        case HANDOFF_CLOSED:
            session->is_closed = true;
            local_children_forget_waiting(&session->children);
            break;
        case HANDOFF_ERROR:
            ok = errno == EPROTO; /* a mangled packet is dropped: the spawner times out */
            break;
        }
    }
    return ok;
}

/* Sleep until there is a job, a child speaks, or the time is over (-1: never). */
static bool
wait_for_work(struct session *session, int timeout_ms)
{
    struct pollfd *entries = session->children.polls;
    size_t count = local_children_poll(&session->children);

    if (!session->is_closed)
        entries[count++] = (struct pollfd){.fd = session->socket, .events = POLLIN};
    int ready = poll(entries, (nfds_t)count, timeout_ms);
    session->is_quiet = ready == 0;
    return ready >= 0 || errno == EINTR;
}

/* The users see what is published; only its report waits. It waits for the flush of the
 * next batch, which a busy sender brings at once, and not for ever. */
static bool
must_finish(const struct session *session)
{
    return session->published->job_count && (session->is_quiet || session->is_closed);
}

static bool
serve(struct session *session)
{
    bool ok = true;

    while (ok) {
        ok = take_jobs(session) && local_children_serve(&session->children);
        if (!ok)
            break;
        if (session->children.had_failure) {
            session->children.had_failure = false;
            suspect_before(session, clock_real_us());
        }
        if (session->filled->job_count || must_finish(session))
            ok = turn(session);
        else if (session->published->job_count)
            ok = wait_for_work(session, LINGER_MS);
        else if (session->is_closed && local_children_idle(&session->children))
            break;
        else
            ok = wait_for_work(session, -1);
    }
    return ok;
}

bool
local_session_run(int socket)
{
    struct session *session = calloc(1, sizeof *session);

    /* the user's programs must not take our socket and the log from us, by ptrace */
    if (!session || fcntl(socket, F_SETFL, O_NONBLOCK) < 0 ||
        prctl(PR_SET_DUMPABLE, 0) < 0)
        return false;
    session->socket = socket;
    session->plan.home = -1;
    session->filled = &session->batches[0];
    session->published = &session->batches[1];
    session->cache.round = 1;
    if (!local_children_init(&session->children, socket))
        return false;
    /* the grace is for the message that this process was started for; what may be a
     * repetition all the same, qmail-lspawn marks with "again" */
    suspect_before(session, clock_real_us() - GRACE_US);
    bool ok = serve(session);
    maildir_batch_free(session->filled);
    maildir_batch_free(session->published);
    maildir_cache_free(&session->cache, (int64_t)time(NULL));
    local_children_free(&session->children);
    local_routes_free(&session->routes);
    local_plan_free(&session->plan);
    handoff_free(&session->packet);
    free(session);
    return ok;
}
