#include "remote_session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "handoff.h"
#include "message.h"
#include "text.h"

/* The strings of a job before its recipients. */
enum { JOB_WORD, JOB_NUMBER, JOB_ID, JOB_HOST, JOB_SENDER, JOB_RECIPIENTS };

enum next { NEXT_JOB, NEXT_WAIT, NEXT_END, NEXT_ERROR };

/* A job with the storage that it points into. */
struct slot {
    struct handoff packet;
    struct message message;
    const char **strings; /* all strings of the packet; owned */
    size_t strings_room;
    bool is_ready; /* remote_prepare was content */
    struct remote_job job;
};

struct session {
    struct remote *remote;
    int socket;
    bool has_queue; /* jobs come faster than we send: look for the next one early */
    struct slot slots[2];
    stralloc report;
};

static bool
split_strings(struct slot *slot, size_t *count)
{
    const char *at = handoff_string(&slot->packet, 0);
    const char *end = at ? at + slot->packet.strings_len : at;

    *count = 0;
    for (const char *p = at; p < end; p += strlen(p) + 1)
        ++*count;
    if (*count > slot->strings_room) {
        const char **larger = realloc(slot->strings, *count * sizeof *larger);
        if (!larger)
            return false;
        slot->strings = larger;
        slot->strings_room = *count;
    }
    size_t i = 0;
    for (const char *p = at; p < end; p += strlen(p) + 1)
        slot->strings[i++] = p;
    return true;
}

/* Make a job of a received packet. */
static bool
take_job(struct session *session, struct slot *slot)
{
    size_t count;

    if (!split_strings(slot, &count))
        return false;
    if (count <= JOB_RECIPIENTS || strcmp(slot->strings[JOB_WORD], "job") != 0) {
        errno = EPROTO;
        return false;
    }
    if (!message_take(&slot->message, &slot->packet))
        return false;
    slot->job.host = slot->strings[JOB_HOST];
    slot->job.sender = slot->strings[JOB_SENDER];
    slot->job.recipients = slot->strings + JOB_RECIPIENTS;
    slot->job.count = count - JOB_RECIPIENTS;
    slot->job.message = slot->message.bytes;
    slot->job.message_len = slot->message.len;
    slot->is_ready = remote_prepare(session->remote, &slot->job);
    return true;
}

/* Receive a job if there is one. */
static enum next
receive(struct session *session, struct slot *slot)
{
    switch (handoff_receive(session->socket, &slot->packet)) {
    case HANDOFF_DONE:
        return take_job(session, slot) ? NEXT_JOB : NEXT_ERROR;
    case HANDOFF_WAIT:
        return NEXT_WAIT;
    case HANDOFF_CLOSED:
        return NEXT_END;
    case HANDOFF_ERROR:
        break;
    }
    return NEXT_ERROR;
}

/* Wait for a job; meanwhile watch the server, which now speaks only to say goodbye. */
static enum next
wait_for_job(struct session *session, struct slot *slot)
{
    for (bool has_waited = false;; has_waited = true) {
        enum next next = receive(session, slot);
        if (next != NEXT_WAIT) {
            session->has_queue = !has_waited;
            return next;
        }
        struct pollfd pollers[2] = {
            {.fd = session->socket, .events = POLLIN},
            {.fd = session->remote->client.fd, .events = POLLIN}, /* -1 is passed over */
        };
        bool is_connected = session->remote->client.fd >= 0;
        int ready = poll(pollers, 2, is_connected ? REMOTE_SESSION_IDLE_MS : -1);
        if (ready < 0 && errno != EINTR)
            return NEXT_ERROR;
        if (ready > 0 && pollers[1].revents)
            smtp_client_close(&session->remote->client, false);
        if (ready == 0)
            remote_hang_up(session->remote); /* when to end is the other side's to say */
    }
}

static bool
send_report(struct session *session, const struct slot *slot)
{
    stralloc *out = &session->report;
    const char *number = slot->strings[JOB_NUMBER];

    out->len = 0;
    if (!text_append_string(out, "report") || !text_append_string(out, number) ||
        !remote_report_append_merged(out, &slot->job.report,
                                     HANDOFF_STRINGS_MAX - out->len))
        return false;
    const struct handoff_parts parts = {.strings = out->s, .strings_len = out->len};
    for (;;) {
        struct pollfd poller = {.fd = session->socket, .events = POLLOUT};
        switch (handoff_send(session->socket, &parts)) {
        case HANDOFF_DONE:
            return true;
        case HANDOFF_WAIT:
            if (poll(&poller, 1, -1) < 0 && errno != EINTR)
                return false;
            break;
        case HANDOFF_CLOSED:
            errno = EPIPE;
            return false;
        case HANDOFF_ERROR:
            return false;
        }
    }
}

/* Send one job; if another one waits already, its commands travel with the end of this
 * one's message. returns what is known about the next job: NEXT_JOB: it is in *ahead */
static enum next
work(struct session *session, struct slot *current, struct slot *ahead)
{
    enum next next = NEXT_WAIT;

    if (current->is_ready && remote_send(session->remote, &current->job)) {
        if (session->remote->client.has_pipelining && session->has_queue)
            next = receive(session, ahead);
        session->has_queue = next == NEXT_JOB;
        if (next == NEXT_JOB && ahead->is_ready)
            remote_send_ahead(session->remote, &ahead->job);
        remote_finish(session->remote, &current->job);
    }
    message_close(&current->message);
    if (!send_report(session, current))
        return NEXT_ERROR;
    return next;
}

static enum next
run(struct session *session)
{
    struct slot *current = &session->slots[0], *ahead = &session->slots[1];
    enum next next = NEXT_WAIT;

    for (;;) {
        if (next == NEXT_WAIT)
            next = wait_for_job(session, current);
        if (next != NEXT_JOB)
            return next;
        next = work(session, current, ahead);
        struct slot *other = current;
        current = ahead;
        ahead = other;
    }
}

static void
free_slot(struct slot *slot)
{
    message_close(&slot->message);
    handoff_free(&slot->packet);
    free(slot->strings);
    remote_job_free(&slot->job);
}

bool
remote_session_run(struct remote *remote, int socket)
{
    struct session session = {.remote = remote, .socket = socket, .has_queue = true};
    session.slots[0].message.fd = session.slots[1].message.fd = -1;

    int flags = fcntl(socket, F_GETFL);
    if (flags < 0 || fcntl(socket, F_SETFL, flags | O_NONBLOCK) < 0)
        return false;
    enum next next = run(&session);
    int saved = errno;
    remote_hang_up(remote);
    free_slot(&session.slots[0]);
    free_slot(&session.slots[1]);
    stralloc_free(&session.report);
    errno = saved;
    return next == NEXT_END;
}
