#include "flusher.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/djbunix.h>
#include <skalibs/types.h>

#include "durable.h"
#include "helper.h"

static bool
answer(int socket, int error)
{
    char text[16];
    int len = snprintf(text, sizeof text, "%d", error);
    struct handoff_parts parts = {.strings = text, .strings_len = (size_t)len + 1};
    return handoff_send(socket, &parts) == HANDOFF_DONE;
}

/* The helper itself. Its copies of the descriptors are closed before it answers: as long
 * as one is open the file is locked. */
static _Noreturn void
serve(int socket, bool is_each_file)
{
    struct durable durable = {.is_one_device = true, .is_each_file = is_each_file};
    struct handoff packet = {0};

    for (;;) {
        if (handoff_receive(socket, &packet) != HANDOFF_DONE)
            _exit(0);
        bool ok = durable_flush(&durable, packet.fds, packet.fd_count);
        int error = ok ? 0 : errno;
        handoff_close_fds(&packet);
        if (!answer(socket, error))
            _exit(0);
    }
}

bool
flusher_start(struct flusher *flusher, bool is_each_file)
{
    int ends[2];

    if (!handoff_pair(ends))
        return false;
    flusher->pid = helper_fork(&ends[1], 1);
    if (flusher->pid == 0)
        serve(ends[1], is_each_file);
    fd_close(ends[1]);
    flusher->socket = ends[0];
    return flusher->pid > 0 && ndelay_on(flusher->socket) == 0;
}

bool
flusher_submit(struct flusher *flusher, const int *fds, unsigned int count)
{
    struct handoff_parts parts = {.fds = fds, .fd_count = count};
    enum handoff_status status = handoff_send(flusher->socket, &parts);
    if (status == HANDOFF_WAIT)
        errno = EAGAIN;
    return status == HANDOFF_DONE;
}

enum flusher_result
flusher_collect(struct flusher *flusher, struct handoff *packet)
{
    unsigned int error;

    enum handoff_status status = handoff_receive(flusher->socket, packet);
    if (status == HANDOFF_WAIT)
        return FLUSHER_WAIT;
    const char *text = status == HANDOFF_DONE ? handoff_string(packet, 0) : NULL;
    if (!text || !uint0_scan(text, &error))
        return FLUSHER_GONE;
    errno = (int)error;
    return error ? FLUSHER_FAILED : FLUSHER_DONE;
}
