#ifndef CLOCK_H
#define CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Time. A wait or a duration is measured by the monotonic clock, which nobody sets; what
 * is compared with queue ids or written down is the time of day. */

/* Milliseconds or microseconds of CLOCK_MONOTONIC, since an arbitrary moment. */
int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_us(void);

/* Microseconds since 1970, as in queue ids. */
uint64_t clock_real_us(void);

/* Wait until fd is ready, through signals too.
 * events       of poll(): POLLIN, POLLOUT; a broken or closed connection is ready as well
 * deadline_ms  of clock_monotonic_ms
 * returns      true; false with errno: ETIMEDOUT when the deadline has passed, be fd
 *              ready or not; else an error of poll() */
bool clock_wait_ready(int fd, short events, int64_t deadline_ms);

#endif
