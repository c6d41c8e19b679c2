#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "clock.h"
#include "dns_tcp.h"

enum { PATIENCE_MS = 60000 };

static const unsigned char query[4] = {0x12, 0x34, 'q', '?'};

/* A name server in a child process that reads one query and answers with these pieces. */
struct server {
    struct sockaddr_in address;
    pid_t child;
};

static void
serve(int listener, const char *const *pieces, const size_t *lengths)
{
    char got[2 + sizeof query];
    int fd = accept(listener, NULL, NULL);
    if (fd < 0 || recv(fd, got, sizeof got, MSG_WAITALL) != (ssize_t)sizeof got ||
        memcmp(got, "\0\4\x12\x34q?", sizeof got) != 0)
        _exit(1);
    for (; *pieces; pieces++, lengths++) {
        usleep(1000);
        if (send(fd, *pieces, *lengths, MSG_NOSIGNAL) < 0)
            _exit(1);
    }
    /* until the client is content: a silent server must be given up by the client */
    (void)!recv(fd, got, 1, 0);
    _exit(0);
}

static void
start(struct server *server, const char *const *pieces, const size_t *lengths)
{
    socklen_t len = sizeof server->address;
    memset(server, 0, sizeof *server);
    server->address.sin_family = AF_INET;
    server->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&server->address, len), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&server->address, &len), 0);
    assert_int_equal(listen(listener, 1), 0);
    server->child = fork();
    assert_true(server->child >= 0);
    if (!server->child)
        serve(listener, pieces, lengths);
    close(listener);
}

static ssize_t
ask(struct server *server, unsigned char *answer, size_t room, int64_t limit_ms)
{
    int status;
    ssize_t len =
        dns_tcp_exchange((const struct sockaddr *)&server->address, query, sizeof query,
                         answer, room, clock_monotonic_ms() + limit_ms);
    int saved = errno;
    assert_int_equal(waitpid(server->child, &status, 0), server->child);
    assert_int_equal(status, 0);
    errno = saved;
    return len;
}

static void
an_answer_may_come_in_pieces(void **state)
{
    (void)state;
    struct server server;
    unsigned char answer[16];
    start(&server,
          (const char *[]){"\0", "\5\x12",
                           "\x34"
                           "ab",
                           "c", NULL},
          (const size_t[]){1, 2, 3, 1, 0});
    assert_int_equal(ask(&server, answer, sizeof answer, PATIENCE_MS), 5);
    assert_memory_equal(answer,
                        "\x12\x34"
                        "abc",
                        5);
}

static void
an_answer_to_another_question_is_refused(void **state)
{
    (void)state;
    struct server server;
    unsigned char answer[16];
    start(&server, (const char *[]){"\0\3\x12\x35x", NULL}, (const size_t[]){5, 0});
    assert_int_equal(ask(&server, answer, sizeof answer, PATIENCE_MS), -1);
    assert_int_equal(errno, EPROTO);
}

static void
an_answer_larger_than_the_room_is_refused(void **state)
{
    (void)state;
    struct server server;
    unsigned char answer[16];
    start(&server, (const char *[]){"\0\21", NULL}, (const size_t[]){2, 0});
    assert_int_equal(ask(&server, answer, sizeof answer, PATIENCE_MS), -1);
    assert_int_equal(errno, EPROTO);
}

static void
a_silent_server_is_given_up(void **state)
{
    (void)state;
    struct server server;
    unsigned char answer[16];
    start(&server, (const char *[]){"\0", NULL}, (const size_t[]){1, 0});
    assert_int_equal(ask(&server, answer, sizeof answer, 100), -1);
    assert_int_equal(errno, ETIMEDOUT);
}

static void
nobody_there_is_an_error(void **state)
{
    (void)state;
    struct sockaddr_in nobody = {.sin_family = AF_INET, .sin_port = htons(1)};
    unsigned char answer[16];
    nobody.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(dns_tcp_exchange((const struct sockaddr *)&nobody, query,
                                      sizeof query, answer, sizeof answer,
                                      clock_monotonic_ms() + PATIENCE_MS),
                     -1);
    assert_int_equal(errno, ECONNREFUSED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_may_come_in_pieces),
        cmocka_unit_test(an_answer_to_another_question_is_refused),
        cmocka_unit_test(an_answer_larger_than_the_room_is_refused),
        cmocka_unit_test(a_silent_server_is_given_up),
        cmocka_unit_test(nobody_there_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
