#include "connection.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/socket.h>

#include <skalibs/types.h>

#include "exitcode.h"
#include "request.h"

enum { ACCEPT_MAX = 64 /* per turn */ };

void
connection_listen(struct server *server, bool on)
{
    struct epoll_event event = {.events = on ? EPOLLIN : 0,
                                .data = {.u32 = SERVER_LISTENER}};
    if (server->is_accepting == on ||
        epoll_ctl(server->epoll, EPOLL_CTL_MOD, server->listener, &event) < 0)
        return;
    server->is_accepting = on;
}

void
connection_drop(struct server *server, struct client *client)
{
    if (client->is_trusted)
        close(client->socket);
    else
        handoff_drop(client->socket);
    client->state = CLIENT_FREE;
    server->accept_pauses = false; /* there is a descriptor again */
    if (!client->is_keeper)
        server->client_count--;
    client->is_keeper = false;
}

/* Edge-triggered: a client that speaks while its request is in hand costs one event, not
 * one each turn. */
static const uint32_t client_events = EPOLLIN | EPOLLRDHUP | EPOLLET;

/* There was an event, and then nothing to read, or no more: if there is something all the
 * same, have it told again. */
static void
watch_anew(const struct server *server, const struct client *client)
{
    struct epoll_event event = {.events = client_events,
                                .data = {.u32 = (uint32_t)(client - server->clients)}};
    (void)epoll_ctl(server->epoll, EPOLL_CTL_MOD, client->socket, &event);
}

/* Make the free place number `index` a client. */
bool
connection_enter(struct server *server, unsigned int index, int socket)
{
    struct client *client = &server->clients[index];

    *client = (struct client){.state = CLIENT_IDLE, .socket = socket, .source = -1};
    client->entry.file = -1;
    if (server_watch(server, socket, index, client_events))
        return true;
    client->state = CLIENT_FREE;
    return false;
}

static bool
has_role(const struct server *server, uid_t uid)
{
    if (uid == 0 || uid == geteuid())
        return true;
    for (int i = 0; i < SERVER_ROLES; i++)
        if (server->options->roles[i].text && server->options->roles[i].uid == uid)
            return true;
    return false;
}

/* A free place for uid; 0: none. No ordinary user may take more than a quarter
 * of them, and all of them together (one user may have thousands of uids, by user
 * namespaces) three quarters. */
static unsigned int
find_place(const struct server *server, uid_t uid, bool is_trusted)
{
    unsigned int max = server->options->client_max;
    unsigned int quarter = (max + 3) / 4;
    unsigned int place = 0, same = 0, strangers = 0;

    for (unsigned int i = 1; i <= max; i++) {
        const struct client *client = &server->clients[i];
        if (client->state == CLIENT_FREE) {
            place = place ? place : i;
            continue;
        }
        same += client->uid == uid;
        strangers += !client->is_trusted;
    }
    return !is_trusted && (same >= quarter || strangers >= 3 * quarter) ? 0 : place;
}

static void
admit(struct server *server, int socket)
{
    struct ucred peer = {0};
    socklen_t len = sizeof peer;

    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0) {
        bool is_trusted = has_role(server, peer.uid);
        unsigned int place = find_place(server, peer.uid, is_trusted);
        if (place && connection_enter(server, place, socket)) {
            server->clients[place].is_trusted = is_trusted;
            server->clients[place].uid = peer.uid;
            server->clients[place].pid = peer.pid;
            server->client_count++;
            return;
        }
    }
    handoff_drop(socket);
}

void
connection_accept(struct server *server)
{
    for (int i = 0; i < ACCEPT_MAX; i++) {
        if (server->client_count >= server->options->client_max) {
            connection_listen(server, false); /* until one leaves */
            return;
        }
        int socket = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket >= 0) {
            admit(server, socket);
            continue;
        }
        if (errno == ECONNABORTED || errno == EINTR)
            continue;
        if (errno != EAGAIN) { /* out of descriptors or memory: let some end first */
            connection_listen(server, false);
            server->accept_pauses = true;
        }
        return;
    }
}

/* Out of descriptors the kernel drops those of a packet, which then is no handoff. */
static unsigned int
code_of_broken_packet(void)
{
    int probe = fcntl(2, F_DUPFD_CLOEXEC, 0);
    if (probe < 0)
        return QUEUE_WRITE_ERROR;
    close(probe);
    return errno == ENOMEM ? QUEUE_NO_MEMORY : QUEUE_BAD_ENVELOPE;
}

/* returns false when the keeper is to go */
static bool
obey_keeper(struct server *server, const struct client *keeper)
{
    const char *verb = handoff_string(&server->packet, 0);
    const char *text = handoff_string(&server->packet, 1);
    char answer[32];
    uint64_t id;

    if (verb && strcmp(verb, "settled") == 0) {
        server->is_verified = true;
        /* What a killed predecessor wrote whole, qmail-send may never have heard of. */
        server->trigger.wants_scan = true;
        return true;
    }
    if (verb && strcmp(verb, "id") == 0) {
        int len = snprintf(answer, sizeof answer, "0%c%" PRIu64, 0,
                           entry_next_id(&server->last_id));
        struct handoff_parts parts = {.strings = answer, .strings_len = (size_t)len + 1};
        return handoff_send(keeper->socket, &parts) == HANDOFF_DONE;
    }
    if (!verb || strcmp(verb, "queued") != 0 || !text || !uint640_scan(text, &id))
        return false;
    trigger_add(&server->trigger, id);
    trigger_send(&server->trigger);
    return true;
}

/* All that it has said. */
static void
hear_keeper(struct server *server, struct client *keeper)
{
    enum handoff_status status;

    while ((status = handoff_receive(keeper->socket, &server->packet)) == HANDOFF_DONE &&
           obey_keeper(server, keeper))
        ;
    if (status == HANDOFF_WAIT)
        watch_anew(server, keeper);
    else
        connection_drop(server, keeper);
}

/* A stranger hands a descriptor over: only a process of its own touches it. */
static void
hear_of_descriptor(struct server *server, struct client *client)
{
    if (handoff_peek(client->socket, &server->packet) == HANDOFF_DONE)
        request_fetch(server, client);
    else
        connection_drop(server, client);
}

/* returns  true: the next packet of a stranger has been dealt with, or none is there */
static bool
has_looked(struct server *server, struct client *client)
{
    bool has_fds = false;

    enum handoff_status status = handoff_look(client->socket, &has_fds);
    if (status == HANDOFF_DONE && has_fds)
        hear_of_descriptor(server, client);
    else if (status == HANDOFF_WAIT)
        watch_anew(server, client);
    return status == HANDOFF_WAIT || has_fds;
}

static void
hear(struct server *server, struct client *client)
{
    if (!client->is_trusted && has_looked(server, client))
        return;
    switch (handoff_receive(client->socket, &server->packet)) {
    case HANDOFF_DONE:
        request_take(server, client);
        break;
    case HANDOFF_WAIT:
        watch_anew(server, client);
        break;
    case HANDOFF_ERROR:
        client->entry.file = -1;
        request_refuse(server, client, code_of_broken_packet());
        break;
    default:
        connection_drop(server, client);
    }
    handoff_close_fds(&server->packet);
}

void
connection_news(struct server *server, struct client *client)
{
    if (client->is_keeper)
        hear_keeper(server, client);
    else if (client->state == CLIENT_IDLE && !server->is_stopping)
        hear(server, client);
    else
        client->has_news = true;
}

/* One packet each for those that may have sent more. */
void
connection_again(struct server *server)
{
    for (unsigned int left = server->again.count; left; left--) {
        struct client *client = client_list_take(&server->again);
        client->state = CLIENT_IDLE;
        hear(server, client);
    }
}
