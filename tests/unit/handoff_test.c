#include "handoff.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <skalibs/djbunix.h>

#include <cmocka.h>

#include "clock.h"

static int
open_fds(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void
carries_strings_body_and_descriptors(void **state)
{
    (void)state;
    static const char strings[] = "job\0\0third";
    int ends[2], pipe_ends[2];
    struct handoff packet = {0};
    char byte;

    assert_true(handoff_pair(ends));
    assert_int_equal(pipe(pipe_ends), 0);
    const struct handoff_parts parts = {.strings = strings,
                                        .strings_len = sizeof strings,
                                        .body = "a\0b",
                                        .body_len = 3,
                                        .fds = pipe_ends,
                                        .fd_count = 2};
    assert_int_equal(handoff_send(ends[0], &parts), HANDOFF_DONE);
    assert_int_equal(handoff_receive(ends[1], &packet), HANDOFF_DONE);
    assert_string_equal(handoff_string(&packet, 0), "job");
    assert_string_equal(handoff_string(&packet, 1), "");
    assert_string_equal(handoff_string(&packet, 2), "third");
    assert_null(handoff_string(&packet, 3));
    assert_int_equal(packet.body_len, 3);
    assert_memory_equal(packet.body, "a\0b", 3);
    assert_int_equal(packet.fd_count, 2);
    assert_true(fcntl(packet.fds[0], F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(packet.fds[1], "x", 1), 1);
    assert_int_equal(read(pipe_ends[0], &byte, 1), 1);
    handoff_free(&packet);
    for (int i = 0; i < 2; i++) {
        close(ends[i]);
        close(pipe_ends[i]);
    }
}

static void
carries_the_largest_packet(void **state)
{
    (void)state;
    int ends[2];
    int fds[HANDOFF_FDS_MAX];
    struct handoff packet = {0};
    char *strings = malloc(HANDOFF_STRINGS_MAX);
    char *body = malloc(HANDOFF_BODY_MAX);
    assert_true(strings && body && handoff_pair(ends));
    memset(strings, 's', HANDOFF_STRINGS_MAX);
    strings[HANDOFF_STRINGS_MAX - 1] = '\0';
    memset(body, 'b', HANDOFF_BODY_MAX);
    for (int i = 0; i < HANDOFF_FDS_MAX; i++)
        fds[i] = ends[0];
    struct handoff_parts parts = {.strings = strings,
                                  .strings_len = HANDOFF_STRINGS_MAX,
                                  .body = body,
                                  .body_len = HANDOFF_BODY_MAX,
                                  .fds = fds,
                                  .fd_count = HANDOFF_FDS_MAX};
    int before = open_fds();
    assert_int_equal(handoff_send(ends[0], &parts), HANDOFF_DONE);
    assert_int_equal(handoff_receive(ends[1], &packet), HANDOFF_DONE);
    assert_int_equal(packet.body_len, HANDOFF_BODY_MAX);
    assert_memory_equal(packet.body, body, HANDOFF_BODY_MAX);
    assert_int_equal(packet.fd_count, HANDOFF_FDS_MAX);
    handoff_free(&packet);
    assert_int_equal(open_fds(), before);
    parts.body_len++;
    assert_int_equal(handoff_send(ends[0], &parts), HANDOFF_ERROR);
    assert_int_equal(errno, EMSGSIZE);
    free(strings);
    free(body);
    close(ends[0]);
    close(ends[1]);
}

static void
a_packet_that_is_longer_than_the_room_for_it_is_dropped(void **state)
{
    (void)state;
    static const char strings[] = "0123456789";
    int ends[2];
    struct handoff packet = {.room = sizeof strings + 4 - 1};
    const struct handoff_parts parts = {.strings = strings,
                                        .strings_len = sizeof strings};

    assert_true(handoff_pair(ends));
    assert_int_equal(handoff_send(ends[0], &parts), HANDOFF_DONE);
    assert_int_equal(handoff_receive(ends[1], &packet), HANDOFF_ERROR);
    assert_int_equal(errno, EPROTO);
    packet.room++;
    assert_int_equal(handoff_send(ends[0], &parts), HANDOFF_DONE);
    assert_int_equal(handoff_receive(ends[1], &packet), HANDOFF_DONE);
    assert_string_equal(handoff_string(&packet, 0), strings);
    handoff_free(&packet);
    close(ends[0]);
    close(ends[1]);
}

static void
the_next_packet_closes_what_was_not_taken(void **state)
{
    (void)state;
    int ends[2];
    struct handoff packet = {0};
    assert_true(handoff_pair(ends));
    const struct handoff_parts parts = {.fds = ends, .fd_count = 2};
    int before = open_fds();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(handoff_send(ends[0], &parts), HANDOFF_DONE);
        assert_int_equal(handoff_receive(ends[1], &packet), HANDOFF_DONE);
        assert_int_equal(open_fds(), before + 2);
    }
    int taken = packet.fds[0];
    packet.fds[0] = -1;
    handoff_free(&packet);
    assert_int_equal(open_fds(), before + 1);
    close(taken);
    close(ends[0]);
    close(ends[1]);
}

static void
a_packet_that_is_no_handoff_is_an_error_and_the_next_one_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"x", 1},               /* shorter than the length */
        {"\x05\0\0\0abc\0", 8}, /* strings longer than the packet */
        {"\x03\0\0\0abcd", 8},  /* last string without NUL */
        {"\xff\xff\xff\xff"
         "abc\0",
         8}, /* absurd */
    };
    int ends[2];
    struct handoff packet = {0};
    const struct handoff_parts good = {.strings = "ok", .strings_len = 3};
    assert_true(handoff_pair(ends));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(send(ends[0], bad[i].bytes, bad[i].len, 0), bad[i].len);
        assert_int_equal(handoff_receive(ends[1], &packet), HANDOFF_ERROR);
        assert_int_equal(errno, EPROTO);
        assert_null(handoff_string(&packet, 0));
        assert_int_equal(packet.body_len, 0);
        assert_int_equal(handoff_send(ends[0], &good), HANDOFF_DONE);
        assert_int_equal(handoff_receive(ends[1], &packet), HANDOFF_DONE);
        assert_string_equal(handoff_string(&packet, 0), "ok");
    }
    handoff_free(&packet);
    close(ends[0]);
    close(ends[1]);
}

static void
tells_waiting_from_closed(void **state)
{
    (void)state;
    int ends[2];
    struct handoff packet = {0};
    const struct handoff_parts parts = {.strings = "x", .strings_len = 2};
    assert_true(handoff_pair(ends));
    assert_true(ndelay_on(ends[0]) == 0 && ndelay_on(ends[1]) == 0);
    assert_int_equal(handoff_receive(ends[1], &packet), HANDOFF_WAIT);
    enum handoff_status status;
    while ((status = handoff_send(ends[0], &parts)) == HANDOFF_DONE)
        ;
    assert_int_equal(status, HANDOFF_WAIT);
    close(ends[1]);
    assert_int_equal(handoff_send(ends[0], &parts), HANDOFF_CLOSED);
    assert_int_equal(handoff_receive(ends[0], &packet), HANDOFF_CLOSED);
    handoff_free(&packet);
    close(ends[0]);
}

static void
what_was_sent_before_the_end_is_received_whatever_was_unread(void **state)
{
    int sockets[2];
    struct handoff packet = {0};
    struct handoff_parts parts = {.strings = "report", .strings_len = 7};
    (void)state;
    assert_true(handoff_pair(sockets));
    assert_int_equal(handoff_send(sockets[0], &parts), HANDOFF_DONE);
    assert_int_equal(handoff_send(sockets[1], &parts), HANDOFF_DONE);
    close(sockets[1]);
    assert_int_equal(handoff_receive(sockets[0], &packet), HANDOFF_DONE);
    assert_string_equal(handoff_string(&packet, 0), "report");
    assert_int_equal(handoff_receive(sockets[0], &packet), HANDOFF_CLOSED);
    close(sockets[0]);
    handoff_free(&packet);
}

static void
listens_with_the_wanted_mode_in_place_of_an_old_socket(void **state)
{
    (void)state;
    char folder[] = "/tmp/handoff_test.XXXXXX";
    struct stat status;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(handoff_connect("socket"), -1);
    assert_int_equal(errno, ENOENT);
    int old = handoff_listen("socket", 0600);
    assert_true(old >= 0);
    close(old);
    assert_int_equal(handoff_connect("socket"), -1);
    assert_int_equal(errno, ECONNREFUSED);
    int listener = handoff_listen("socket", 0666);
    assert_true(listener >= 0);
    assert_int_equal(stat("socket", &status), 0);
    assert_int_equal(status.st_mode & 0777, 0666);
    int client = handoff_connect("socket");
    assert_true(client >= 0);
    close(client);
    close(listener);
    unlink("socket");
    char path[200];
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    assert_int_equal(handoff_listen(path, 0600), -1);
    assert_int_equal(errno, ENAMETOOLONG);
    assert_int_equal(chdir("/"), 0);
    rmdir(folder);
}

static void
a_packet_can_be_looked_at_without_its_descriptors(void **state)
{
    (void)state;
    static const char strings[] = "queue";
    int ends[2];
    struct handoff packet = {0};
    bool has_fds = true;

    assert_true(handoff_pair(ends));
    assert_true(ndelay_on(ends[1]) == 0);
    assert_int_equal(handoff_look(ends[1], &has_fds), HANDOFF_WAIT);
    struct handoff_parts parts = {.strings = strings, .strings_len = sizeof strings};
    assert_int_equal(handoff_send(ends[0], &parts), HANDOFF_DONE);
    assert_int_equal(handoff_look(ends[1], &has_fds), HANDOFF_DONE);
    assert_false(has_fds);
    assert_int_equal(handoff_receive(ends[1], &packet), HANDOFF_DONE);
    parts.fds = ends;
    parts.fd_count = 1;
    assert_int_equal(handoff_send(ends[0], &parts), HANDOFF_DONE);
    int before = open_fds();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(handoff_look(ends[1], &has_fds), HANDOFF_DONE);
        assert_true(has_fds);
        assert_int_equal(handoff_peek(ends[1], &packet), HANDOFF_DONE);
        assert_string_equal(handoff_string(&packet, 0), "queue");
    }
    assert_int_equal(open_fds(), before);
    assert_int_equal(handoff_receive(ends[1], &packet), HANDOFF_DONE);
    assert_int_equal(packet.fd_count, 1);
    handoff_free(&packet);
    handoff_drop(ends[0]);
    assert_int_equal(handoff_look(ends[1], &has_fds), HANDOFF_CLOSED);
    close(ends[1]);
}

/* A TCP socket with unsent data, whose last close waits for two minutes. */
static int
lingering_socket(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof address;
    const struct linger linger = {.l_onoff = 1, .l_linger = 120};
    const int small = 2048;
    static char bytes[65536];
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small),
                     0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(listener, 1), 0); /* it stays open, and nobody reads */
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, len), 0);
    while (send(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        ;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    return fd;
}

static void
a_dropped_socket_delays_nobody_whatever_signals_are_blocked(void **state)
{
    (void)state;
    int ends[2];

    assert_true(handoff_pair(ends));
    int trap = lingering_socket();
    const struct handoff_parts parts = {
        .strings = "x", .strings_len = 2, .fds = &trap, .fd_count = 1};
    assert_int_equal(handoff_send(ends[1], &parts), HANDOFF_DONE);
    sigset_t set, saved;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    assert_int_equal(sigprocmask(SIG_BLOCK, &set, &saved), 0);
    int64_t began = clock_monotonic_ms();
    close(trap);
    close(ends[1]);
    handoff_drop(ends[0]); /* with the last descriptor of the trap, unread */
    assert_true(clock_monotonic_ms() - began < 60000);
    assert_int_equal(sigprocmask(SIG_SETMASK, &saved, NULL), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_strings_body_and_descriptors),
        cmocka_unit_test(carries_the_largest_packet),
        cmocka_unit_test(a_packet_that_is_longer_than_the_room_for_it_is_dropped),
        cmocka_unit_test(the_next_packet_closes_what_was_not_taken),
        cmocka_unit_test(
            a_packet_that_is_no_handoff_is_an_error_and_the_next_one_is_read),
        cmocka_unit_test(tells_waiting_from_closed),
        cmocka_unit_test(a_packet_can_be_looked_at_without_its_descriptors),
        cmocka_unit_test(what_was_sent_before_the_end_is_received_whatever_was_unread),
        cmocka_unit_test(a_dropped_socket_delays_nobody_whatever_signals_are_blocked),
        cmocka_unit_test(listens_with_the_wanted_mode_in_place_of_an_old_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
