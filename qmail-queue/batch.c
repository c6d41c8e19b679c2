#include "batch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "clock.h"
#include "exitcode.h"
#include "queue_file.h"
#include "report.h"
#include "request.h"

enum {
    GATHER_MAX_US = 20000,      /* however slow the disk is */
    SMALL_BYTES = 256 * 1024,   /* of all messages together */
    LARGE_PART = 4,             /* of a flush's time is spent on gathering large ones, */
    LARGE_GATHER_MAX_US = 5000, /* and no more */
};

/* The descriptors of one flush: files from the front, their folders from the back. First
 * of all the file that has been open for the longest time, which a large one may be that
 * was written last: syncfs reports the errors since then. */
struct collection {
    int fds[FLUSHER_FDS_MAX];
    uint64_t oldest_id;
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
    if (collection->files == 1 || entry->id < collection->oldest_id) {
        collection->fds[collection->files - 1] = collection->fds[0];
        collection->fds[0] = entry->file;
        collection->oldest_id = entry->id;
    }
    if (is_new) {
        collection->has_folder[folder] = true;
        collection->fds[FLUSHER_FDS_MAX - ++collection->folders] =
            server->folders[folder];
    }
    return true;
}

bool
batch_init(struct server *server)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    server->pace.timer = fd;
    return fd >= 0 && server_watch(server, fd, SERVER_TIMER, EPOLLIN);
}

/* How long may we gather? The time of a flush of large messages is that of their data,
 * and no company makes that less. */
static int64_t
gather_us(const struct server *server)
{
    int64_t wait_us = server->pace.flush_us * server->pace.expected;
    int64_t max_us = GATHER_MAX_US;
    uint64_t bytes = 0;

    for (const struct client *client = server->written.first; client;
         client = client->next)
        bytes += client->entry.message_len;
    if (bytes > SMALL_BYTES) {
        wait_us = server->pace.flush_us / LARGE_PART;
        max_us = LARGE_GATHER_MAX_US;
    }
    return wait_us < max_us ? wait_us : max_us;
}

/* Are more requests to be expected so soon that it is worth waiting for them? */
static bool
is_worth_gathering(struct server *server)
{
    struct batch_pace *pace = &server->pace;

    if (server->is_stopping || server->options->is_each_file ||
        server->written.count >= pace->expected ||
        server->written.count >= FLUSHER_FDS_MAX - 1)
        return false;
    if (pace->is_gathering)
        return true;
    const struct itimerspec delay = {
        .it_value = {.tv_nsec = gather_us(server) * 1000 + 1}};
    pace->is_gathering = timerfd_settime(pace->timer, 0, &delay, NULL) == 0;
    return pace->is_gathering;
}

void
batch_timer(struct server *server)
{
    uint64_t times;
    if (read(server->pace.timer, &times, sizeof times) < 0)
        return; /* it was set anew: not yet */
    if (server->pace.is_gathering)
        server->pace.expected = 0;
}

bool
batch_start(struct server *server)
{
    struct collection collection = {.files = 0};

    if (server->flushing.count || !server->written.count || is_worth_gathering(server))
        return true;
    server->pace.is_gathering = false;
    while (server->written.first &&
           collect(&collection, server, &server->written.first->entry)) {
        struct client *client = client_list_take(&server->written);
        client->state = CLIENT_FLUSHING;
        client_list_add(&server->flushing, client);
    }
    memmove(collection.fds + collection.files,
            collection.fds + FLUSHER_FDS_MAX - collection.folders,
            collection.folders * sizeof *collection.fds);
    server->pace.started_us = clock_monotonic_us();
    return flusher_submit(&server->flusher, collection.fds,
                          collection.files + collection.folders);
}

/* A flush has ended: learn from it. */
static void
learn_pace(struct server *server)
{
    struct batch_pace *pace = &server->pace;
    int64_t took = clock_monotonic_us() - pace->started_us;
    pace->flush_us = pace->flush_us ? (7 * pace->flush_us + took) / 8 : took;
    pace->expected = server->flushing.count + server->written.count;
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
        learn_pace(server);
        accept_all(server);
        return true;
    case FLUSHER_FAILED:
        server->pace.expected = 0;
        refuse_all(server);
        return true;
    default:
        return false;
    }
}
