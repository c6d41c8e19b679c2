/* lib/clock: the monotonic clock, the time of day, waiting with a deadline */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/time.h>

#include <cmocka.h>

#include "clock.h"

enum { PATIENCE_MS = 20000 };

static void
on_alarm(int number)
{
    (void)number;
}

static void
counts_milliseconds_and_microseconds_of_one_clock(void **state)
{
    (void)state;
    int64_t before_us = clock_monotonic_us();
    int64_t ms = clock_monotonic_ms();
    int64_t after_us = clock_monotonic_us();
    assert_in_range(ms, before_us / 1000, after_us / 1000);
}

static void
tells_the_time_of_day_in_microseconds(void **state)
{
    (void)state;
    uint64_t before_s = (uint64_t)time(NULL);
    uint64_t us = clock_real_us();
    /* time() may lag behind by a tick of the kernel */
    assert_in_range(us / 1000000, before_s, (uint64_t)time(NULL) + 1);
}

static void
waits_for_bytes(void **state)
{
    int fds[2];
    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_true(clock_wait_ready(fds[0], POLLIN, clock_monotonic_ms() + PATIENCE_MS));
    assert_true(clock_wait_ready(fds[1], POLLOUT, clock_monotonic_ms() + PATIENCE_MS));
    close(fds[0]);
    close(fds[1]);
}

static void
a_closed_connection_is_ready(void **state)
{
    int fds[2];
    (void)state;
    assert_int_equal(pipe(fds), 0);
    close(fds[1]);
    assert_true(clock_wait_ready(fds[0], POLLIN, clock_monotonic_ms() + PATIENCE_MS));
    close(fds[0]);
}

static void
a_deadline_ends_the_wait_through_signals(void **state)
{
    struct sigaction action = {.sa_handler = on_alarm}, saved;
    const struct itimerval often = {.it_interval = {.tv_usec = 2000},
                                    .it_value = {.tv_usec = 2000}};
    const struct itimerval never = {.it_value = {.tv_usec = 0}};
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(sigaction(SIGALRM, &action, &saved), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    int64_t deadline_ms = clock_monotonic_ms() + 30;
    assert_false(clock_wait_ready(fds[0], POLLIN, deadline_ms));
    assert_int_equal(errno, ETIMEDOUT);
    assert_true(clock_monotonic_ms() >= deadline_ms);
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &saved, NULL), 0);
    close(fds[0]);
    close(fds[1]);
}

static void
after_the_deadline_nothing_is_ready(void **state)
{
    int fds[2];
    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_false(clock_wait_ready(fds[1], POLLOUT, clock_monotonic_ms()));
    assert_int_equal(errno, ETIMEDOUT);
    close(fds[0]);
    close(fds[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_milliseconds_and_microseconds_of_one_clock),
        cmocka_unit_test(tells_the_time_of_day_in_microseconds),
        cmocka_unit_test(waits_for_bytes),
        cmocka_unit_test(a_closed_connection_is_ready),
        cmocka_unit_test(a_deadline_ends_the_wait_through_signals),
        cmocka_unit_test(after_the_deadline_nothing_is_ready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
