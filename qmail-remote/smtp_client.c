#include "smtp_client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <sys/socket.h>

#include <skalibs/types.h>

#include "clock.h"
#include "text.h"
#include "wire.h"

enum { QUIT_WAIT_MS = 1000, CODE_CLOSING = 421 };

void
smtp_client_fail(struct smtp_client *client, const char *reason)
{
    if (!client->has_failed)
        client->reason = reason;
    client->has_failed = true;
}

static bool
failed(struct smtp_client *client, const char *reason)
{
    smtp_client_fail(client, reason);
    return false;
}

static bool
failed_with_errno(struct smtp_client *client)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ETIMEDOUT)
        return failed(client, "it did not answer in time");
    return failed(client, "the connection died");
}

bool
smtp_client_start(struct smtp_client *client, int fd, const char *peer, unsigned int io_s)
{
    client->fd = fd;
    client->io_s = io_s;
    client->has_pipelining = client->has_8bitmime = client->has_size = false;
    client->is_closing = client->needs_reset = client->has_failed = false;
    client->size_max = 0;
    client->reason = "";
    client->out.len = client->in_at = client->in_len = 0;
    if (text_copy(&client->peer, peer) && remote_reply_reset(&client->reply))
        return true;
    smtp_client_close(client, false);
    return false;
}

void
smtp_client_put(struct smtp_client *client, const char *text)
{
    if (!text_append(&client->out, text))
        smtp_client_fail(client, "there is no memory");
}

void
smtp_client_put_number(struct smtp_client *client, uint64_t number)
{
    if (!text_append_number(&client->out, number))
        smtp_client_fail(client, "there is no memory");
}

static bool
write_all(struct smtp_client *client, const char *bytes, size_t len)
{
    while (len && !client->has_failed) {
        ssize_t sent = send(client->fd, bytes, len, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return failed_with_errno(client);
        bytes += sent;
        len -= (size_t)sent;
        if (len && clock_monotonic_ms() >= client->deadline_ms)
            return failed(client, "it took too long");
    }
    return !client->has_failed;
}

bool
smtp_client_flush(struct smtp_client *client)
{
    bool ok = write_all(client, client->out.s, client->out.len);
    client->out.len = 0;
    return ok;
}

bool
smtp_client_send_message(struct smtp_client *client, const char *message, size_t len)
{
    struct wire wire;
    stralloc *out = &client->out;
    /* a small message gets what it can need at most: every byte doubled, and the dot */
    size_t most = len < SMTP_CLIENT_OUT / 2 ? 2 * len : SMTP_CLIENT_OUT;

    wire_init(&wire, message, len);
    for (;;) {
        if (!stralloc_readyplus(out, most + WIRE_ROOM_MIN))
            return failed(client, "there is no memory");
        size_t used = wire_encode(&wire, out->s + out->len, most + WIRE_ROOM_MIN);
        out->len += used;
        if (!wire.left)
            break;
        if (!smtp_client_flush(client))
            return false;
    }
    smtp_client_put(client, ".\r\n");
    return !client->has_failed;
}

/* More bytes into the empty input buffer. */
static bool
fill(struct smtp_client *client, int64_t deadline_ms)
{
    ssize_t got;
    if (clock_monotonic_ms() >= deadline_ms)
        return failed(client, "it did not answer in time");
    do
        got = recv(client->fd, client->in, sizeof client->in, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return failed_with_errno(client);
    if (got == 0)
        return failed(client, "the connection died");
    client->in_at = 0;
    client->in_len = (size_t)got;
    return true;
}

bool
smtp_client_read_reply(struct smtp_client *client)
{
    /* for the whole reply, or a server that drips its bytes could hold us for days */
    int64_t deadline_ms = clock_monotonic_ms() + (int64_t)client->io_s * 1000;
    size_t used;

    if (deadline_ms > client->deadline_ms)
        deadline_ms = client->deadline_ms;
    if (client->has_failed)
        return false;
    if (!remote_reply_reset(&client->reply))
        return failed(client, "there is no memory");
    for (;;) {
        if (client->in_at == client->in_len && !fill(client, deadline_ms))
            return false;
        enum remote_reply_status status =
            remote_reply_feed(&client->reply, client->in + client->in_at,
                              client->in_len - client->in_at, &used);
        client->in_at += used;
        if (status == REMOTE_REPLY_BAD)
            return failed(client, "its reply makes no sense");
        if (status == REMOTE_REPLY_DONE)
            break;
    }
    if (client->reply.code == CODE_CLOSING)
        client->is_closing = true;
    return true;
}

bool
smtp_client_read_last_words(struct smtp_client *client)
{
    struct timeval moment = {.tv_sec = 1};
    const char *reason = client->reason;

    (void)setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &moment, sizeof moment);
    client->has_failed = false;
    bool has_words =
        smtp_client_read_reply(client) && remote_reply_class(&client->reply) >= 4;
    client->has_failed = true; /* whatever it said: this connection has ended */
    client->reason = reason;
    return has_words;
}

/* One line of the reply to EHLO, behind its code: a keyword and its parameters. */
static void
learn_keyword(struct smtp_client *client, const char *keyword, size_t len)
{
    if (len == 10 && strncasecmp(keyword, "PIPELINING", 10) == 0)
        client->has_pipelining = true;
    if (len == 8 && strncasecmp(keyword, "8BITMIME", 8) == 0)
        client->has_8bitmime = true;
    if (len >= 4 && strncasecmp(keyword, "SIZE", 4) == 0 &&
        (len == 4 || keyword[4] == ' ')) {
        client->has_size = true;
        if (len > 5 && !uint64_scan(keyword + 5, &client->size_max))
            client->size_max = 0;
    }
}

static void
learn_keywords(struct smtp_client *client)
{
    const char *line = strchr(client->reply.text.s, '\n'); /* the first is its name */
    while (line && strlen(++line) > 4) {
        learn_keyword(client, line + 4, strcspn(line + 4, "\n"));
        line = strchr(line, '\n');
    }
}

static bool
say_hello(struct smtp_client *client, const char *verb, const char *helohost)
{
    smtp_client_put(client, verb);
    smtp_client_put(client, helohost);
    smtp_client_put(client, "\r\n");
    return smtp_client_flush(client) && smtp_client_read_reply(client);
}

enum smtp_greeting
smtp_client_greet(struct smtp_client *client, const char *helohost)
{
    if (!smtp_client_read_reply(client))
        return SMTP_GREETING_FAILED;
    if (remote_reply_class(&client->reply) != 2)
        return SMTP_GREETING_REFUSED;
    if (!say_hello(client, "EHLO ", helohost))
        return SMTP_GREETING_FAILED;
    if (remote_reply_class(&client->reply) == 2) {
        learn_keywords(client);
        return SMTP_GREETING_OK;
    }
    /* RFC 5321 3.2: a server without EHLO says 5yz; one that has no time says 4yz */
    if (remote_reply_class(&client->reply) == 5 && !say_hello(client, "HELO ", helohost))
        return SMTP_GREETING_FAILED;
    return remote_reply_class(&client->reply) == 2 ? SMTP_GREETING_OK
                                                   : SMTP_GREETING_REFUSED;
}

void
smtp_client_close(struct smtp_client *client, bool politely)
{
    if (client->fd < 0)
        return;
    if (politely && !client->has_failed && !client->is_closing &&
        send(client->fd, "QUIT\r\n", 6, MSG_NOSIGNAL | MSG_DONTWAIT) == 6) {
        struct pollfd poller = {.fd = client->fd, .events = POLLIN};
        if (poll(&poller, 1, QUIT_WAIT_MS) > 0)
            (void)!recv(client->fd, client->in, sizeof client->in, MSG_DONTWAIT);
    }
    close(client->fd);
    client->fd = -1;
}

void
smtp_client_free(struct smtp_client *client)
{
    smtp_client_close(client, false);
    stralloc_free(&client->peer);
    stralloc_free(&client->out);
    remote_reply_free(&client->reply);
}
