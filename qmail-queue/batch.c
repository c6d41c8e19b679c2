#include "batch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "exitcode.h"
#include "queue_file.h"
#include "report.h"
#include "request.h"

/* The descriptors of one flush: files from the front, their folders from the back. */
struct collection {
    int fds[FLUSHER_FDS_MAX];
    unsigned int files;
    unsigned int folders;
    bool has_folder[QUEUE_FILE_SPLIT];
};

/* returns false when there is no room left */
static bool
collect(struct collection *collection, const struct server *server,
        const struct entry *entry)
{
    unsigned int folder = queue_file_folder(entry->id);
    bool is_new = !collection->has_folder[folder];
    if (collection->files + collection->folders + 1 + is_new > FLUSHER_FDS_MAX)
        return false;
    collection->fds[collection->files++] = entry->file;
    if (is_new) {
        collection->has_folder[folder] = true;
        collection->fds[FLUSHER_FDS_MAX - ++collection->folders] =
            server->folders[folder];
    }
    return true;
}

bool
batch_start(struct server *server)
{
    struct collection collection = {.files = 0};

    if (server->flushing.count || !server->written.count)
        return true;
    while (server->written.first &&
           collect(&collection, server, &server->written.first->entry)) {
        struct client *client = client_list_take(&server->written);
        client->state = CLIENT_FLUSHING;
        client_list_add(&server->flushing, client);
    }
    memmove(collection.fds + collection.files,
            collection.fds + FLUSHER_FDS_MAX - collection.folders,
            collection.folders * sizeof *collection.fds);
    return flusher_submit(&server->flusher, collection.fds,
                          collection.files + collection.folders);
}

/* Everything is on the disk: first qmail-send hears of it, then those who wait. */
static void
accept_all(struct server *server)
{
    struct client_list batch = server->flushing;
    struct client *client;

    memset(&server->flushing, 0, sizeof server->flushing);
    for (client = batch.first; client; client = client->next) {
        entry_close(&client->entry);
        trigger_add(&server->trigger, client->entry.id);
    }
    trigger_send(&server->trigger);
    while ((client = client_list_take(&batch)))
        request_accept(server, client);
}

static void
refuse_all(struct server *server)
{
    struct client_list batch = server->flushing;
    struct client *client;
    char text[64];

    snprintf(text, sizeof text, "%u", batch.count);
    report_error("flush failed; messages refused:", text);
    memset(&server->flushing, 0, sizeof server->flushing);
    while ((client = client_list_take(&batch)))
        request_refuse(server, client, QUEUE_WRITE_ERROR);
}

bool
batch_collect(struct server *server)
{
    switch (flusher_collect(&server->flusher, &server->packet)) {
    case FLUSHER_WAIT:
        return true;
    case FLUSHER_DONE:
        accept_all(server);
        return true;
    case FLUSHER_FAILED:
        refuse_all(server);
        return true;
    default:
        return false;
    }
}
