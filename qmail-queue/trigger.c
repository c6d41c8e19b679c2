#include "trigger.h"

#include <errno.h>
#include <string.h>

#include <sys/socket.h>
#include <sys/un.h>

#include "text.h"

enum {
    DATAGRAM_MAX = 4096,
    WAITING_MAX = 64 * 1024, /* some 4000 ids */
};

static const struct sockaddr_un receiver = {.sun_family = AF_UNIX,
                                            .sun_path = "queue/trigger"};

bool
trigger_open(struct trigger *trigger)
{
    memset(trigger, 0, sizeof *trigger);
    trigger->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return trigger->socket >= 0;
}

void
trigger_add(struct trigger *trigger, uint64_t id)
{
    if (trigger->wants_scan)
        return;
    if (trigger->ids.len > WAITING_MAX || !text_append_number(&trigger->ids, id) ||
        !text_append(&trigger->ids, "\n")) {
        trigger->wants_scan = true;
        trigger->ids.len = 0;
    }
}

/* returns false when the receiver cannot take it now */
static bool
send_datagram(int fd, const char *bytes, size_t len)
{
    ssize_t sent;
    do
        sent = sendto(fd, bytes, len, MSG_NOSIGNAL, (const struct sockaddr *)&receiver,
                      sizeof receiver);
    while (sent < 0 && errno == EINTR);
    /* nobody listens: who begins to do so looks through queue/mess first */
    return sent >= 0 || errno == ENOENT || errno == ECONNREFUSED;
}

/* Of the ids from at on, how many bytes make one datagram of whole lines? */
static size_t
datagram_len(const stralloc *ids, size_t at)
{
    size_t left = ids->len - at;
    if (left <= DATAGRAM_MAX)
        return left;
    const char *newline = memrchr(ids->s + at, '\n', DATAGRAM_MAX);
    return (size_t)(newline - (ids->s + at)) + 1;
}

bool
trigger_send(struct trigger *trigger)
{
    size_t at = 0;

    if (trigger->wants_scan && send_datagram(trigger->socket, "scan", 4))
        trigger->wants_scan = false;
    while (at < trigger->ids.len) {
        size_t len = datagram_len(&trigger->ids, at);
        if (!send_datagram(trigger->socket, trigger->ids.s + at, len))
            break;
        at += len;
    }
    if (at) {
        trigger->ids.len -= at;
        memmove(trigger->ids.s, trigger->ids.s + at, trigger->ids.len);
    }
    return !trigger->wants_scan && !trigger->ids.len;
}
