#include "taking.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include <skalibs/djbunix.h>
#include <skalibs/types.h>

#include "exitcode.h"
#include "queue_folders.h"
#include "report.h"

enum { ID_ATTEMPTS = 1000 };

void
taking_name(struct taking *taking, const char *name)
{
    snprintf(taking->path, sizeof taking->path, "queue/taking/%" PRIu64 ".%s", taking->id,
             name);
    snprintf(taking->drop_path, sizeof taking->drop_path, "queue/drop/%s", name);
}

bool
taking_parse_name(struct taking *taking, const char *name)
{
    size_t len = uint64_scan(name, &taking->id);
    if (!len || !taking->id || name[len] != '.' || !name[len + 1])
        return false;
    taking_name(taking, name + len + 1);
    return strcmp(taking->path + sizeof "queue/taking/" - 1, name) == 0;
}

static enum taking_presence
find(const char *path)
{
    struct stat status;
    if (lstat(path, &status) == 0)
        return TAKING_YES;
    return errno == ENOENT ? TAKING_NO : TAKING_UNKNOWN;
}

static bool
flush_and_log(const char *path)
{
    bool ok = queue_folders_flush(path);
    if (!ok)
        report_error("unable to flush", path);
    return ok;
}

enum taking_presence
taking_find_drop(const struct taking *taking)
{
    return find(taking->drop_path);
}

bool
taking_discard(const struct taking *taking)
{
    bool ok = unlink(taking->path) == 0 || errno == ENOENT;
    if (!ok)
        report_error("unable to remove", taking->path);
    return ok;
}

/* ---- talking to qmail-queued */

static void
say(const struct drop_take *take, const char *strings, size_t len)
{
    const struct handoff_parts parts = {.strings = strings, .strings_len = len};
    if (handoff_send(take->socket, &parts) != HANDOFF_DONE)
        _exit(EXITCODE_TEMPORARY);
}

uint64_t
taking_ask_id(struct drop_take *take)
{
    uint64_t id;

    say(take, "id", sizeof "id");
    if (handoff_receive(take->socket, &take->packet) != HANDOFF_DONE)
        _exit(EXITCODE_TEMPORARY);
    const char *text = handoff_string(&take->packet, 1);
    if (!text || !uint640_scan(text, &id) || !id)
        _exit(EXITCODE_TEMPORARY);
    return id;
}

static void
announce(const struct drop_take *take, uint64_t id)
{
    char text[sizeof "queued" + UINT64_FMT + 1];
    int len = snprintf(text, sizeof text, "queued%c%" PRIu64, 0, id);
    say(take, text, (size_t)len + 1);
}

/* ---- into queue/mess */

/* The place in queue/mess. The id is that of another message when this one has
 * waited for a life of qmail-queued whose clock had been set back. returns false
 * when there is no place */
static bool
find_place(struct drop_take *take, struct taking *taking, char *path)
{
    for (int attempt = 0; attempt < ID_ATTEMPTS; attempt++) {
        queue_file_path(path, taking->id);
        enum taking_presence presence = find(path);
        if (presence != TAKING_YES)
            return presence == TAKING_NO;
        taking->id = taking_ask_id(take);
    }
    errno = EEXIST;
    return false;
}

bool
taking_enter_queue(struct drop_take *take, struct taking *taking)
{
    char path[QUEUE_FILE_PATH_MAX], folder[QUEUE_FILE_PATH_MAX];

    if (!flush_and_log("queue/drop"))
        return false;
    if (!find_place(take, taking, path) || rename(taking->path, path) < 0) {
        report_error("unable to move to queue/mess:", taking->path);
        return false;
    }
    snprintf(folder, sizeof folder, "queue/mess/%u", queue_file_folder(taking->id));
    bool ok = flush_and_log(folder); /* if not, it is in the queue all the same */
    fd_close(taking->fd);            /* unlocked: now it may be delivered */
    taking->fd = -1;
    announce(take, taking->id);
    return ok;
}
