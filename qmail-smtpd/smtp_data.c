#include <string.h>
#include <time.h>

#include "received.h"
#include "smtp_decode.h"
#include "smtp_reply.h"
#include "smtp_verb.h"

enum {
    HOPS_MAX = 100,        /* RFC 5321 6.3 */
    PROGRESS_BYTES = 8192, /* so much within each timeout, or the client is gone for us */
    BARE_PATIENCE_MS = 30000, /* for the end of a message that is refused already */
};

/* The message while it comes in. */
struct incoming {
    struct smtp_decode decode;
    uint64_t len; /* decoded bytes */
    uint64_t len_max;
    size_t progress; /* wire bytes since the deadline was set */
};

static bool
is_refused(const struct incoming *incoming)
{
    return incoming->decode.has_bare || incoming->decode.hops >= HOPS_MAX ||
           incoming->len > incoming->len_max;
}

static bool
put_received(struct smtp_session *session)
{
    const struct received received = {
        .remote_host = session->remote_host,
        .remote_ip = session->remote_ip,
        .remote_info = session->remote_info,
        .helo = session->helo.len ? session->helo.s : NULL,
        .local = session->local_host,
        .protocol = session->is_esmtp ? "ESMTP" : "SMTP",
    };
    stralloc *line = &session->scratch;
    line->len = 0;
    return received_append(line, &received, (int64_t)time(NULL)) &&
           injection_put(&session->injection, line->s, line->len);
}

/* Decode what the input holds and pass it on. returns true at the end of the message */
static bool
take_block(struct smtp_session *session, struct incoming *incoming)
{
    struct smtp_stream *stream = &session->stream;
    char *bytes = stream->input + stream->start;
    size_t used, out_len;

    bool is_end = smtp_decode_block(&incoming->decode, bytes, stream->end - stream->start,
                                    &used, &out_len);
    stream->start += used;
    incoming->len += out_len;
    incoming->progress += used;
    if (out_len && !is_refused(incoming))
        injection_put(&session->injection, bytes,
                      out_len); /* commit tells of a failure */
    return is_end;
}

/* Read up to the end of the message, also of one that is refused: what is left of it must
 * not be taken for commands. */
static enum smtp_input
receive(struct smtp_session *session, struct incoming *incoming)
{
    enum smtp_input status = SMTP_INPUT_OK;
    bool is_hurried = false;

    smtp_stream_extend(&session->stream);
    while (!take_block(session, incoming) && status == SMTP_INPUT_OK) {
        if (incoming->decode.has_bare && !is_hurried) {
            /* a client that ends its message by bare line ends waits for the reply now */
            smtp_stream_hurry(&session->stream, BARE_PATIENCE_MS);
            is_hurried = true;
        } else if (incoming->progress >= PROGRESS_BYTES && !is_hurried) {
            smtp_stream_extend(&session->stream);
            incoming->progress = 0;
        }
        status = smtp_stream_fill(&session->stream);
    }
    return status;
}

/* Hand the message to the queue. */
static void
commit(struct smtp_session *session)
{
    struct injection *injection = &session->injection;
    const char *end = session->recipients.s + session->recipients.len;

    injection_sender(injection, session->sender.s);
    for (const char *p = session->recipients.s; p < end; p += strlen(p) + 1)
        injection_recipient(injection, p);
    session->receipt.text.len = 0;
    if (injection_commit(injection, &session->receipt))
        session->idle_commands = 0;
    smtp_reply_queued(session);
}

static void
conclude(struct smtp_session *session, const struct incoming *incoming,
         enum smtp_input status)
{
    if (incoming->decode.has_bare && status != SMTP_INPUT_CLOSED)
        smtp_refuse_and_end(session, SMTP_BARE_LINE_END);
    else if (status == SMTP_INPUT_TIMEOUT)
        smtp_refuse_and_end(session, SMTP_TIMEOUT);
    else if (status != SMTP_INPUT_OK)
        smtp_session_abort(session);
    else if (incoming->len > incoming->len_max)
        smtp_refuse(session, SMTP_TOO_BIG, NULL);
    else if (incoming->decode.hops >= HOPS_MAX)
        smtp_refuse(session, SMTP_LOOP, NULL);
    else
        commit(session);
}

void
smtp_data(struct smtp_session *session, char *argument)
{
    struct incoming incoming = {0};

    if (*argument) {
        smtp_refuse(session, SMTP_SYNTAX, argument);
        return;
    }
    if (!session->recipient_count) {
        smtp_refuse(session, session->has_sender ? SMTP_WANT_RCPT : SMTP_WANT_MAIL, NULL);
        return;
    }
    if (!smtp_policy_databytes(&session->policy, &incoming.len_max)) {
        smtp_refuse_and_end(session, SMTP_NO_CONTROL);
        return;
    }
    if (!incoming.len_max)
        incoming.len_max = UINT64_MAX;
    smtp_decode_start(&incoming.decode);
    injection_start(&session->injection);
    if (!put_received(session)) {
        smtp_refuse_and_end(session, SMTP_NO_MEMORY);
        return;
    }
    smtp_reply(session, SMTP_GO_AHEAD);
    conclude(session, &incoming, receive(session, &incoming));
    injection_abandon(&session->injection);
    smtp_session_reset(session);
}
