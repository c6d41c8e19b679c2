#include "handoff.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <skalibs/djbunix.h>

enum {
    LENGTH_BYTES = 4,
    PACKET_MAX = LENGTH_BYTES + HANDOFF_STRINGS_MAX + HANDOFF_BODY_MAX,
    BACKLOG = 1024,
    BUFFER_BYTES = 1024 * 1024,
    DROP_NS = 1000000,
};

/* Control-message storage, aligned as CMSG_DATA wants it. */
union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int) * HANDOFF_FDS_MAX)];
};

static bool
address_of(struct sockaddr_un *address, const char *path)
{
    size_t len = strlen(path);
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (len >= sizeof address->sun_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(address->sun_path, path, len);
    return true;
}

/* Room for some packets of the largest size; if the kernel grants less, so be it. */
static void
enlarge_buffers(int fd)
{
    int bytes = BUFFER_BYTES;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

int
handoff_listen(const char *path, mode_t mode)
{
    struct sockaddr_un address;
    if (!address_of(&address, path))
        return -1;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (unlink(path) < 0 && errno != ENOENT) {
        fd_close(fd);
        return -1;
    }
    mode_t saved = umask(0777 & ~mode);
    int bound = bind(fd, (const struct sockaddr *)&address, sizeof address);
    umask(saved);
    if (bound < 0 || listen(fd, BACKLOG) < 0) {
        fd_close(fd);
        return -1;
    }
    return fd;
}

int
handoff_connect(const char *path)
{
    struct sockaddr_un address;
    if (!address_of(&address, path))
        return -1;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    enlarge_buffers(fd);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
        fd_close(fd);
        return -1;
    }
    return fd;
}

bool
handoff_pair(int fds[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        return false;
    enlarge_buffers(fds[0]);
    enlarge_buffers(fds[1]);
    return true;
}

static enum handoff_status
status_of_errno(void)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return HANDOFF_WAIT;
    if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
        return HANDOFF_CLOSED;
    return HANDOFF_ERROR;
}

enum handoff_status
handoff_send(int socket, const struct handoff_parts *parts)
{
    union control control;
    unsigned char length[LENGTH_BYTES];
    struct iovec pieces[3] = {
        {.iov_base = length, .iov_len = sizeof length},
        {.iov_base = (void *)(uintptr_t)parts->strings, .iov_len = parts->strings_len},
        {.iov_base = (void *)(uintptr_t)parts->body, .iov_len = parts->body_len},
    };
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 3};

    if (parts->strings_len > HANDOFF_STRINGS_MAX || parts->body_len > HANDOFF_BODY_MAX ||
        parts->fd_count > HANDOFF_FDS_MAX) {
        errno = EMSGSIZE;
        return HANDOFF_ERROR;
    }
    uint32_t strings_len = (uint32_t)parts->strings_len;
    memcpy(length, &strings_len, sizeof length);
    if (parts->fd_count) {
        size_t bytes = sizeof(int) * parts->fd_count;
        memset(&control, 0, sizeof control);
        message.msg_control = &control;
        message.msg_controllen = (socklen_t)CMSG_SPACE(bytes); /* musl's type */
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = (socklen_t)CMSG_LEN(bytes);
        memcpy(CMSG_DATA(header), parts->fds, bytes);
    }
    ssize_t sent;
    do
        sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? status_of_errno() : HANDOFF_DONE;
}

void
handoff_close_fds(struct handoff *packet)
{
    for (unsigned int i = 0; i < packet->fd_count; i++)
        if (packet->fds[i] >= 0)
            close(packet->fds[i]);
    packet->fd_count = 0;
}

static void
take_descriptors(struct handoff *packet, struct msghdr *message)
{
    /* one SCM_RIGHTS block per packet is all that a SEQPACKET socket can give us */
    const struct cmsghdr *header = CMSG_FIRSTHDR(message);
    if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
        return;
    /* the storage holds HANDOFF_FDS_MAX, so the kernel cannot have given more */
    size_t bytes = header->cmsg_len - CMSG_LEN(0);
    memcpy(packet->fds, CMSG_DATA(header), bytes);
    packet->fd_count = (unsigned int)(bytes / sizeof(int));
}

/* Find strings and body in the packet. A stranger may have sent anything. */
static bool
dissect(struct handoff *packet)
{
    uint32_t strings_len;
    if (packet->packet.len < LENGTH_BYTES)
        return false;
    memcpy(&strings_len, packet->packet.s, sizeof strings_len);
    if (strings_len > packet->packet.len - LENGTH_BYTES)
        return false;
    if (strings_len && packet->packet.s[LENGTH_BYTES + strings_len - 1] != '\0')
        return false;
    packet->strings_len = strings_len;
    packet->body = packet->packet.s + LENGTH_BYTES + strings_len;
    packet->body_len = packet->packet.len - LENGTH_BYTES - strings_len;
    return true;
}

/* Where the other side has closed without reading all that we sent, ECONNRESET comes
 * once, and only then what it had sent before: a report must not be lost because more
 * jobs were on their way. */
static ssize_t
receive(int socket, struct msghdr *message, int flags)
{
    ssize_t got;
    bool was_reset = false;
    for (;;) {
        got = recvmsg(socket, message, flags);
        if (got >= 0 || (errno != EINTR && (errno != ECONNRESET || was_reset)))
            return got;
        was_reset = was_reset || errno == ECONNRESET;
    }
}

enum handoff_status
handoff_look(int socket, bool *has_fds)
{
    struct msghdr message = {.msg_iovlen = 0};
    ssize_t got = receive(socket, &message, MSG_PEEK);
    if (got < 0)
        return status_of_errno();
    /* there was no room for its bytes, and none for its descriptors */
    *has_fds = (message.msg_flags & MSG_CTRUNC) != 0;
    return message.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? HANDOFF_DONE : HANDOFF_CLOSED;
}

/* Forget the packet before, and describe the room for one. */
static bool
prepare(struct handoff *packet, struct iovec *piece)
{
    size_t room = packet->room ? packet->room : PACKET_MAX;
    handoff_close_fds(packet);
    packet->strings_len = packet->body_len = 0;
    if (!stralloc_ready(&packet->packet, room))
        return false;
    *piece = (struct iovec){.iov_base = packet->packet.s, .iov_len = room};
    return true;
}

enum handoff_status
handoff_peek(int socket, struct handoff *packet)
{
    struct iovec piece;
    if (!prepare(packet, &piece))
        return HANDOFF_ERROR;
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    ssize_t got = receive(socket, &message, MSG_PEEK);
    if (got < 0)
        return status_of_errno();
    packet->packet.len = (size_t)got;
    if ((message.msg_flags & MSG_TRUNC) || !dissect(packet)) {
        packet->strings_len = packet->body_len = 0;
        errno = EPROTO;
        return HANDOFF_ERROR;
    }
    return HANDOFF_DONE;
}

static void
wake_up(int signal_number)
{
    (void)signal_number; /* a wait for a socket to linger ends */
}

/* A signal every millisecond until all is closed; one alone could come too early. Not
 * SIGALRM: that is for operators, and who reads it from a descriptor has it blocked. */
void
handoff_drop(int socket)
{
    const struct itimerspec soon = {.it_interval = {.tv_nsec = DROP_NS},
                                    .it_value = {.tv_nsec = DROP_NS}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGVTALRM};
    struct sigaction action = {.sa_handler = wake_up};
    struct sigaction saved;
    timer_t timer;

    sigemptyset(&action.sa_mask);
    bool is_caught = sigaction(SIGVTALRM, &action, &saved) == 0;
    bool has_timer = is_caught && timer_create(CLOCK_MONOTONIC, &event, &timer) == 0;
    if (has_timer)
        (void)timer_settime(timer, 0, &soon, NULL);
    close(socket);
    if (has_timer)
        (void)timer_delete(timer);
    if (is_caught)
        (void)sigaction(SIGVTALRM, &saved, NULL);
}

enum handoff_status
handoff_receive(int socket, struct handoff *packet)
{
    union control control;
    struct iovec piece;

    if (!prepare(packet, &piece))
        return HANDOFF_ERROR;
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t got = receive(socket, &message, MSG_CMSG_CLOEXEC);
    if (got < 0)
        return status_of_errno();
    if (message.msg_controllen)
        take_descriptors(packet, &message);
    packet->packet.len = (size_t)got;
    if (got == 0 && !packet->fd_count)
        return HANDOFF_CLOSED;
    if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || !dissect(packet)) {
        handoff_close_fds(packet);
        packet->strings_len = packet->body_len = 0;
        errno = EPROTO;
        return HANDOFF_ERROR;
    }
    return HANDOFF_DONE;
}

const char *
handoff_string(const struct handoff *packet, size_t index)
{
    const char *at = packet->packet.s + LENGTH_BYTES;
    size_t left = packet->strings_len;
    while (left) {
        size_t len = strlen(at) + 1; /* dissect() saw the last NUL */
        if (index-- == 0)
            return at;
        at += len;
        left -= len;
    }
    return NULL;
}

void
handoff_free(struct handoff *packet)
{
    handoff_close_fds(packet);
    stralloc_free(&packet->packet);
    memset(packet, 0, sizeof *packet);
}
