#include "connect.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/time.h>

#include <skalibs/djbunix.h>

#include "clock.h"

static bool
set_timeout(int fd, int option, unsigned int seconds)
{
    struct timeval limit = {.tv_sec = (time_t)seconds};
    return setsockopt(fd, SOL_SOCKET, option, &limit, sizeof limit) == 0;
}

static bool
bind_local(int fd, const struct internet_address *from)
{
    struct sockaddr_storage local;
    socklen_t len = internet_address_to_socket(&local, from, 0);
    return bind(fd, (const struct sockaddr *)&local, len) == 0;
}

/* A process that was stopped and goes on, as on a machine that slept, finds its connect()
 * interrupted, signal(7); the kernel goes on with it. */
static bool
wait_connected(int fd, int64_t deadline_ms)
{
    int error;
    socklen_t len = sizeof error;

    if (!clock_wait_ready(fd, POLLOUT, deadline_ms) ||
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return false;
    errno = error;
    return error == 0;
}

/* With SO_SNDTIMEO the kernel itself ends a connect() that takes longer: socket(7). No
 * poll is needed then, neither here nor for any read or write later. */
static bool
connect_within(int fd, const struct internet_address *address, uint16_t port,
               unsigned int timeout_s)
{
    struct sockaddr_storage peer;
    socklen_t len = internet_address_to_socket(&peer, address, port);
    int64_t deadline_ms = clock_monotonic_ms() + (int64_t)timeout_s * 1000;

    if (!set_timeout(fd, SO_SNDTIMEO, timeout_s))
        return false;
    if (connect(fd, (const struct sockaddr *)&peer, len) == 0)
        return true;
    if (errno == EINTR)
        return wait_connected(fd, deadline_ms);
    if (errno == EINPROGRESS || errno == EAGAIN || errno == EALREADY)
        errno = ETIMEDOUT;
    return false;
}

int
connect_to(const struct internet_address *address, uint16_t port,
           const struct internet_address *from, unsigned int timeout_s, unsigned int io_s)
{
    int on = 1;
    int fd = socket(address->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    /* a group of commands is one write: waiting for the peer's ACK (Nagle) costs time */
    bool ok = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
    if (ok && from && from->family == address->family)
        ok = bind_local(fd, from);
    ok = ok && connect_within(fd, address, port, timeout_s) &&
         set_timeout(fd, SO_SNDTIMEO, io_s) && set_timeout(fd, SO_RCVTIMEO, io_s);
    if (ok)
        return fd;
    fd_close(fd);
    return -1;
}
