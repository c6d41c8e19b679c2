#include "request.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/types.h>

#include "connection.h"
#include "copier.h"
#include "exitcode.h"
#include "report.h"
#include "source.h"

/* What the strings of a packet say. */
struct demand {
    uint64_t message_len;
    uint64_t envelope_len;
    struct entry_origin origin;
};

static bool
scan(const struct handoff *packet, size_t index, uint64_t *number)
{
    const char *text = handoff_string(packet, index);
    return text && uint640_scan(text, number);
}

/* "queue", message length, envelope length */
static bool
understand(struct demand *demand, const struct server *server,
           const struct client *client)
{
    const struct handoff *packet = &server->packet;
    const char *verb = handoff_string(packet, 0);

    if (!verb || strcmp(verb, "queue") != 0 || !scan(packet, 1, &demand->message_len) ||
        !scan(packet, 2, &demand->envelope_len))
        return false;
    demand->origin =
        (struct entry_origin){.uid = (uint32_t)client->uid,
                              .pid = (uint32_t)client->pid,
                              .role = server_role(server->options, client->uid)};
    return true;
}

static void
answer(struct server *server, struct client *client, const char *text, size_t len)
{
    struct handoff_parts parts = {.strings = text, .strings_len = len};

    client->state = CLIENT_IDLE;
    /* one that does not read its answers is gone, or as good as gone */
    if (handoff_send(client->socket, &parts) != HANDOFF_DONE) {
        connection_drop(server, client);
    } else if (client->has_news) {
        client->has_news = false;
        client->state = CLIENT_AGAIN;
        client_list_add(&server->again, client);
    }
}

void
request_accept(struct server *server, struct client *client)
{
    char text[64];
    int len = snprintf(text, sizeof text, "0%c%" PRIu64 "%c%" PRIu32 "%c", 0,
                       client->entry.id, 0, client->entry.pid, 0);
    answer(server, client, text, (size_t)len);
}

void
request_refuse(struct server *server, struct client *client, unsigned int code)
{
    char text[256];

    if (client->source >= 0)
        close(client->source);
    client->source = -1;
    if (client->entry.file >= 0 && client->entry.id < server->settled_limit)
        server->settled_limit = client->entry.id; /* a crash may bring the file back */
    if (!entry_abandon(&client->entry))
        server_report(server, "unable to remove a refused message", &client->entry);
    int len =
        snprintf(text, sizeof text, "%u%c%s%c", code, 0, exitcode_queue_text(code), 0);
    client->has_news = !client->must_fetch;
    answer(server, client, text, (size_t)len);
    if (client->must_fetch && client->state != CLIENT_FREE)
        connection_drop(server, client);
}

void
request_is_written(struct server *server, struct client *client)
{
    client->state = CLIENT_WRITTEN;
    client_list_add(&server->written, client);
}

/* The whole message and envelope are in memory. */
static void
write_at_once(struct server *server, struct client *client, const char *bytes, size_t len)
{
    struct entry *entry = &client->entry;

    unsigned int code = entry_check(entry, bytes, len);
    if (code == QUEUE_OK && (code = entry_open(entry, &server->last_id)) != QUEUE_OK)
        server_report(server, "unable to create", entry);
    if (code == QUEUE_OK && (code = entry_write(entry, bytes, len)) != QUEUE_OK)
        server_report(server, "unable to write", entry);
    if (code != QUEUE_OK)
        request_refuse(server, client, code);
    else
        request_is_written(server, client);
}

/* Read a small message that lies in memory (and which its owner may cut meanwhile). */
static void
read_at_once(struct server *server, struct client *client, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t got =
            pread(client->source, server->buffer + done, len - done, (off_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            request_refuse(server, client, QUEUE_READ_ERROR);
            return;
        }
        done += (size_t)got;
    }
    close(client->source);
    client->source = -1;
    write_at_once(server, client, server->buffer, len);
}

static void
wait_for_copier(struct server *server, struct client *client)
{
    client->state = CLIENT_COPY_WAITS;
    client_list_add(&server->copy_waits, client);
    copier_start_next(server);
}

static void
take_descriptor(struct server *server, struct client *client, uint64_t len)
{
    client->source = server->packet.fds[0];
    server->packet.fds[0] = -1;
    switch (source_judge(client->source, len, server->mount)) {
    case SOURCE_QUICK:
        if (len <= SERVER_BUFFER) {
            read_at_once(server, client, (size_t)len);
            return;
        }
        break;
    case SOURCE_SLOW:
        break;
    default:
        request_refuse(server, client, QUEUE_READ_ERROR);
        return;
    }
    wait_for_copier(server, client);
}

static void
start_request(struct client *client)
{
    client->has_news = client->must_fetch = false;
    client->entry.file = client->source = -1;
}

void
request_fetch(struct server *server, struct client *client)
{
    struct demand demand;
    unsigned int code = QUEUE_BAD_ENVELOPE;

    start_request(client);
    client->must_fetch = true;
    if (understand(&demand, server, client) && server->packet.body_len == 0)
        code = entry_begin(&client->entry, &demand.origin, demand.message_len,
                           demand.envelope_len);
    if (code == QUEUE_OK)
        wait_for_copier(server, client);
    else
        request_refuse(server, client, code);
}

void
request_take(struct server *server, struct client *client)
{
    const struct handoff *packet = &server->packet;
    struct demand demand;
    unsigned int code = QUEUE_BAD_ENVELOPE;

    start_request(client);
    if (understand(&demand, server, client))
        code = entry_begin(&client->entry, &demand.origin, demand.message_len,
                           demand.envelope_len);
    uint64_t len = demand.message_len + demand.envelope_len;
    if (code == QUEUE_OK && packet->fd_count == 0 && packet->body_len == len)
        write_at_once(server, client, packet->body, packet->body_len);
    else if (code == QUEUE_OK && packet->fd_count == 1 && packet->body_len == 0)
        take_descriptor(server, client, len);
    else
        request_refuse(server, client, code != QUEUE_OK ? code : QUEUE_BAD_ENVELOPE);
}
