#include "copier.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include <sys/wait.h>

#include "exitcode.h"
#include "helper.h"
#include "request.h"

enum {
    COPIERS = 4,
    /* what is not yet on the disk at any time: a flush for others would have to write it, too */
    UNFLUSHED_MAX = 8 * 1024 * 1024,
};

/* In the process: the first len bytes of source, piece by piece, through entry.
 * returns  enum queue_code, as exit code */
static unsigned int
copy(struct entry *entry, int source, char *buffer, uint64_t len)
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
        if (entry->written - flushed < UNFLUSHED_MAX && entry->written < len)
            continue;
        if (fdatasync(entry->file) < 0)
            return QUEUE_WRITE_ERROR;
        flushed = entry->written;
    }
    return QUEUE_OK;
}

static _Noreturn void
serve(struct client *client, char *buffer)
{
    struct entry *entry = &client->entry;
    int fds[2] = {client->source, entry->file};

    helper_settle(fds, 2);
    entry->file = fds[1];
    _exit((int)copy(entry, fds[0], buffer, entry->message_len + entry->envelope_len));
}

static void
start(struct server *server, struct client *client)
{
    unsigned int code = entry_open(&client->entry, &server->last_id);
    if (code != QUEUE_OK) {
        server_report(server, "unable to create", &client->entry);
        request_refuse(server, client, code);
        return;
    }
    client->copier = fork();
    if (client->copier == 0)
        serve(client, server->buffer);
    if (client->copier < 0) {
        server_report(server, "unable to fork for", &client->entry);
        request_refuse(server, client, QUEUE_NO_MEMORY);
        return;
    }
    close(client->source);
    client->source = -1;
    client->state = CLIENT_COPIES;
    server->copier_count++;
}

void
copier_start_next(struct server *server)
{
    while (server->copier_count < COPIERS && server->copy_waits.first)
        start(server, client_list_take(&server->copy_waits));
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
    for (unsigned int i = 0; i <= server->options->client_max; i++)
        if (server->clients[i].state == CLIENT_COPIES)
            kill(server->clients[i].copier, SIGKILL);
}
