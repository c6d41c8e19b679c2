#include "clock.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

enum { POLL_MS = 60000 }; /* one poll() takes an int; the loop makes it any time */

int64_t
clock_monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t
clock_monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

uint64_t
clock_real_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

bool
clock_wait_ready(int fd, short events, int64_t deadline_ms)
{
    for (;;) {
        struct pollfd entry = {.fd = fd, .events = events};
        int64_t left = deadline_ms - clock_monotonic_ms();
        if (left <= 0) {
            errno = ETIMEDOUT;
            return false;
        }
        int ready = poll(&entry, 1, left > POLL_MS ? POLL_MS : (int)left);
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return false;
    }
}
