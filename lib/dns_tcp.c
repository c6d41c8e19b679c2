#include "dns_tcp.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include <skalibs/djbunix.h>

#include "clock.h"

enum { QUERY_MAX = 512 };

static bool
connect_within(int fd, const struct sockaddr *server, int64_t deadline_ms)
{
    socklen_t len = server->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                  : sizeof(struct sockaddr_in);
    int error = 0;
    socklen_t error_len = sizeof error;

    if (connect(fd, server, len) == 0)
        return true;
    if (errno != EINPROGRESS || !clock_wait_ready(fd, POLLOUT, deadline_ms) ||
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len) < 0)
        return false;
    errno = error;
    return error == 0;
}

static bool
send_all(int fd, const unsigned char *bytes, size_t len, int64_t deadline_ms)
{
    while (len) {
        if (!clock_wait_ready(fd, POLLOUT, deadline_ms))
            return false;
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR && errno != EAGAIN)
            return false;
        if (sent > 0) {
            bytes += sent;
            len -= (size_t)sent;
        }
    }
    return true;
}

static bool
receive_all(int fd, unsigned char *bytes, size_t len, int64_t deadline_ms)
{
    while (len) {
        if (!clock_wait_ready(fd, POLLIN, deadline_ms))
            return false;
        ssize_t got = recv(fd, bytes, len, 0);
        if (got == 0)
            errno = ECONNRESET;
        if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
            return false;
        if (got > 0) {
            bytes += got;
            len -= (size_t)got;
        }
    }
    return true;
}

/* Both directions carry a length of two bytes first, RFC 1035 4.2.2. */
static ssize_t
talk(int fd, const unsigned char *query, size_t query_len, unsigned char *answer,
     size_t room, int64_t deadline_ms)
{
    unsigned char packet[2 + QUERY_MAX], length[2];

    packet[0] = (unsigned char)(query_len >> 8);
    packet[1] = (unsigned char)query_len;
    memcpy(packet + 2, query, query_len);
    if (!send_all(fd, packet, query_len + 2, deadline_ms) ||
        !receive_all(fd, length, 2, deadline_ms))
        return -1;
    size_t len = length[0] * 256U + length[1];
    if (len < 2 || len > room) {
        errno = EPROTO;
        return -1;
    }
    if (!receive_all(fd, answer, len, deadline_ms))
        return -1;
    if (memcmp(answer, query, 2) != 0) { /* the id */
        errno = EPROTO;
        return -1;
    }
    return (ssize_t)len;
}

ssize_t
dns_tcp_exchange(const struct sockaddr *server, const unsigned char *query,
                 size_t query_len, unsigned char *answer, size_t room,
                 int64_t deadline_ms)
{
    if (query_len < 2 || query_len > QUERY_MAX) {
        errno = EMSGSIZE;
        return -1;
    }
    int fd = socket(server->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    ssize_t len = -1;
    if (connect_within(fd, server, deadline_ms))
        len = talk(fd, query, query_len, answer, room, deadline_ms);
    fd_close(fd);
    return len;
}
