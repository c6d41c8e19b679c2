/* qmail-smtpd/smtp_stream: deadlines that signals do not put off */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/time.h>

#include "testing.h"

#include "smtp_stream.h"

enum { TICK_US = 100000, TICKS_MAX = 100, TIMEOUT_S = 1 };

static int server, client;
static volatile sig_atomic_t ticks;

/* Ends what waits for ever, so that the test fails and does not hang. */
static void
tick(int number)
{
    (void)number;
    if (++ticks == TICKS_MAX)
        (void)shutdown(server, SHUT_RDWR);
}

/* A connection, and a signal ten times a second. */
static int
start(void **state)
{
    struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART};
    const struct itimerval often = {{0, TICK_US}, {0, TICK_US}};
    int ends[2];

    (void)state;
    ticks = 0;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
        return -1;
    server = ends[0];
    client = ends[1];
    sigemptyset(&action.sa_mask);
    signal(SIGPIPE, SIG_IGN);
    return sigaction(SIGALRM, &action, NULL) < 0 ||
                   setitimer(ITIMER_REAL, &often, NULL) < 0
               ? -1
               : 0;
}

static int
stop(void **state)
{
    const struct itimerval never = {{0, 0}, {0, 0}};

    (void)state;
    close(server);
    close(client);
    return setitimer(ITIMER_REAL, &never, NULL);
}

static void
a_silent_client_times_out_although_the_read_is_interrupted(void **state)
{
    static struct smtp_stream stream;
    char *line;
    size_t len;

    (void)state;
    smtp_stream_init(&stream, server, server, TIMEOUT_S);
    assert_int_equal(smtp_stream_line(&stream, &line, &len), SMTP_INPUT_TIMEOUT);
}

static void
a_client_that_sends_the_half_of_a_line_times_out_too(void **state)
{
    static struct smtp_stream stream;
    char *line;
    size_t len;

    (void)state;
    assert_int_equal(write(client, "NOOP\r\nEH", 8), 8);
    smtp_stream_init(&stream, server, server, TIMEOUT_S);
    assert_int_equal(smtp_stream_line(&stream, &line, &len), SMTP_INPUT_OK);
    assert_string_equal(line, "NOOP");
    assert_int_equal(smtp_stream_line(&stream, &line, &len), SMTP_INPUT_TIMEOUT);
}

static void
a_client_that_never_reads_times_out_although_the_write_is_interrupted(void **state)
{
    static struct smtp_stream stream;
    char block[4096] = "";

    (void)state;
    assert_return_code(fcntl(server, F_SETFL, O_NONBLOCK), 0);
    while (write(server, block, sizeof block) > 0)
        ;
    assert_return_code(fcntl(server, F_SETFL, 0), 0);
    smtp_stream_init(&stream, server, server, TIMEOUT_S);
    smtp_stream_put(&stream, "250 ok\r\n", 8);
    smtp_stream_flush(&stream);
    assert_true(stream.is_broken);
    assert_true(ticks < TICKS_MAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_silent_client_times_out_although_the_read_is_interrupted, start, stop),
        cmocka_unit_test_setup_teardown(
            a_client_that_sends_the_half_of_a_line_times_out_too, start, stop),
        cmocka_unit_test_setup_teardown(
            a_client_that_never_reads_times_out_although_the_write_is_interrupted, start,
            stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
