#include "operator_ask.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "handoff.h"
#include "text.h"

/* Receive with a deadline. */
static enum operator_status
receive(int socket, struct handoff *packet)
{
    struct pollfd entry = {.fd = socket, .events = POLLIN};
    int ready = poll(&entry, 1, OPERATOR_DEADLINE_S * 1000);
    if (ready == 0)
        errno = ETIMEDOUT;
    if (ready <= 0)
        return OPERATOR_ERROR;
    switch (handoff_receive(socket, packet)) {
    case HANDOFF_DONE:
        return OPERATOR_OK;
    case HANDOFF_CLOSED:
        errno = ECONNREFUSED;
        return OPERATOR_DOWN;
    case HANDOFF_WAIT:
    case HANDOFF_ERROR:
        break;
    }
    return OPERATOR_ERROR;
}

static bool
slurp(stralloc *text, int fd)
{
    char chunk[8192];
    ssize_t got;
    while ((got = read(fd, chunk, sizeof chunk)) > 0)
        if (!text_append_bytes(text, chunk, (size_t)got))
            break;
    close(fd);
    return got == 0;
}

static enum operator_status
understand(struct handoff *packet, stralloc *text)
{
    const char *word = handoff_string(packet, 0);
    if (!word || strcmp(word, "ok") != 0) {
        errno = EPROTO;
        return OPERATOR_REFUSED;
    }
    if (!text || !packet->fd_count)
        return OPERATOR_OK;
    text->len = 0;
    int fd = packet->fds[0];
    packet->fds[0] = -1;
    if (!slurp(text, fd) || !text_append(text, ""))
        return OPERATOR_ERROR;
    return OPERATOR_OK;
}

static enum operator_status
not_connected(void)
{
    if (errno == EACCES)
        return OPERATOR_FORBIDDEN;
    if (errno != ENOENT && errno != ECONNREFUSED)
        return OPERATOR_ERROR;
    errno = ECONNREFUSED;
    return OPERATOR_DOWN;
}

enum operator_status
operator_ask(const char *verb, stralloc *text)
{
    struct handoff_parts parts = {.strings = verb, .strings_len = strlen(verb) + 1};
    struct handoff packet = {0};

    int fd = handoff_connect("queue/control");
    if (fd < 0)
        return not_connected();
    enum operator_status status = OPERATOR_ERROR;
    if (handoff_send(fd, &parts) == HANDOFF_DONE)
        status = receive(fd, &packet);
    if (status == OPERATOR_OK)
        status = understand(&packet, text);
    int saved = errno;
    handoff_free(&packet);
    close(fd);
    errno = saved;
    return status;
}
