#include "copier.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include <sys/statvfs.h>
#include <sys/wait.h>

#include "exitcode.h"
#include "helper.h"
#include "injection.h"
#include "request.h"
#include "source.h"

enum {
    COPIERS = 4,         /* for those whom we trust, and as many for strangers */
    COPIERS_OF_USER = 2, /* of each stranger: others want large messages queued, too */
    SPARE = 2,           /* a stranger gets one part in so many of the free space */
    /* not yet on the disk at any time: a flush for others would have to write it, too */
    UNFLUSHED_MAX = 8 * 1024 * 1024,
};

unsigned int
copier_copy(struct entry *entry, int source, char *buffer, uint64_t len)
{
    uint64_t flushed = 0;

    while (entry->written < len) {
        uint64_t left = len - entry->written;
        ssize_t got =
            pread(source, buffer, left < SERVER_BUFFER ? (size_t)left : SERVER_BUFFER,
                  (off_t)entry->written);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return QUEUE_READ_ERROR; /* cut by its owner, or unreadable */
        unsigned int code = entry_check(entry, buffer, (size_t)got);
        if (code == QUEUE_OK)
            code = entry_write(entry, buffer, (size_t)got);
        if (code != QUEUE_OK)
            return code;
        bool is_end = entry->written == len && len > SERVER_BUFFER;
        if (entry->written - flushed < UNFLUSHED_MAX && !is_end)
            continue;
        if (fdatasync(entry->file) < 0)
            return QUEUE_WRITE_ERROR;
        flushed = entry->written;
    }
    return QUEUE_OK;
}

/* In the process: take a stranger's descriptor. Closing it, at our end,
 * may take for ever. */
static unsigned int
fetch(int socket, uint64_t len, uint64_t mount, int *source)
{
    struct handoff packet = {.fd_count = 0};

    if (handoff_receive(socket, &packet) != HANDOFF_DONE)
        return QUEUE_READ_ERROR;
    if (packet.fd_count != 1)
        return QUEUE_BAD_ENVELOPE;
    *source = packet.fds[0];
    return source_judge(*source, len, mount) == SOURCE_REFUSED ? QUEUE_READ_ERROR
                                                               : QUEUE_OK;
}

bool
copier_has_room(int file, uint64_t len, bool is_trusted)
{
    struct statvfs space;
    uint64_t part = is_trusted ? 1 : SPARE;

    return fstatvfs(file, &space) < 0 ||
           len < (uint64_t)space.f_bavail * space.f_frsize / part;
}

/* In the process. code: what the client is to be told when its packet has been fetched */
static _Noreturn void
serve(struct client *client, const int *fds, char *buffer, uint64_t mount,
      unsigned int code)
{
    struct entry *entry = &client->entry;
    int source = fds[0];
    uint64_t len = entry->message_len + entry->envelope_len;
    unsigned int fetched = QUEUE_OK;

    signal(SIGALRM, SIG_DFL);
    alarm(INJECTION_DEADLINE_S); /* the client has given up by then */
    entry->file = fds[1];
    if (client->must_fetch)
        fetched = fetch(source, len, mount, &source);
    if (code == QUEUE_OK)
        code = fetched;
    if (code == QUEUE_OK && !copier_has_room(entry->file, len, client->is_trusted))
        code = QUEUE_WRITE_ERROR;
    _exit((int)(code == QUEUE_OK ? copier_copy(entry, source, buffer, len) : code));
}

static void
start(struct server *server, struct client *client)
{
    unsigned int code = entry_open(&client->entry, &server->last_id);
    if (code != QUEUE_OK)
        server_report(server, "unable to create", &client->entry);
    if (code != QUEUE_OK && !client->must_fetch) {
        request_refuse(server, client, code);
        return;
    }
    int fds[] = {client->must_fetch ? client->socket : client->source,
                 client->entry.file};
    client->copier = helper_fork(fds, client->entry.file < 0 ? 1 : 2);
    if (client->copier == 0)
        serve(client, fds, server->buffer, server->mount, code);
    if (client->copier < 0) {
        server_report(server, "unable to fork for", &client->entry);
        request_refuse(server, client, QUEUE_NO_MEMORY);
        return;
    }
    if (client->source >= 0)
        close(client->source);
    client->source = -1;
    client->state = CLIENT_COPIES;
    server->copier_count++;
}

static bool
may_start(const struct server *server, const struct client *client)
{
    unsigned int like = 0, same = 0;

    for (unsigned int i = 0; i <= server->options->client_max; i++) {
        const struct client *other = &server->clients[i];
        if (other->state != CLIENT_COPIES)
            continue;
        like += other->is_trusted == client->is_trusted;
        same += other->uid == client->uid;
    }
    return like < COPIERS && (client->is_trusted || same < COPIERS_OF_USER);
}

void
copier_start_next(struct server *server)
{
    struct client_list waiting = server->copy_waits;
    struct client *client;

    server->copy_waits = (struct client_list){.count = 0};
    while ((client = client_list_take(&waiting)))
        if (server->copier_count < 2 * COPIERS && may_start(server, client))
            start(server, client);
        else
            client_list_add(&server->copy_waits, client);
}

static struct client *
find(struct server *server, pid_t pid)
{
    for (unsigned int i = 0; i <= server->options->client_max; i++)
        if (server->clients[i].state == CLIENT_COPIES && server->clients[i].copier == pid)
            return &server->clients[i];
    return NULL;
}

bool
copier_ended(struct server *server, pid_t pid, int wait_status)
{
    struct client *client = find(server, pid);
    if (!client)
        return false;
    server->copier_count--;
    if (WIFEXITED(wait_status))
        client->must_fetch = false; /* it has been */
    unsigned int code = WIFEXITED(wait_status) ? (unsigned int)WEXITSTATUS(wait_status)
                                               : QUEUE_WRITE_ERROR;
    if (code == QUEUE_OK) {
        client->entry.written = client->entry.message_len + client->entry.envelope_len;
        request_is_written(server, client);
    } else {
        request_refuse(server, client, code);
    }
    copier_start_next(server);
    return true;
}

void
copier_stop_all(struct server *server)
{
    struct client *client;

    while ((client = client_list_take(&server->copy_waits)))
        request_refuse(server, client, QUEUE_REFUSED_NOW);
    for (unsigned int i = 0; i <= server->options->client_max; i++) {
        client = &server->clients[i];
        if (client->state != CLIENT_COPIES)
            continue;
        kill(client->copier, SIGKILL);
        if (client->must_fetch) { /* it may never end: the file may be on a dead FUSE */
            server->copier_count--;
            request_refuse(server, client, QUEUE_REFUSED_NOW);
        }
    }
}
