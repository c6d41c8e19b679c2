#include "injection.h"

#include <fcntl.h>

#include <sys/socket.h>
#include <sys/wait.h>

#include "testing.h"

/* A queue that answers each request with these strings, and exits with the number of
 * bytes in the last request (modulo 251); null: it closes the connection. */
static pid_t
start_queue(const char *answer, size_t len, int requests)
{
    int listener = handoff_listen("queue/inject", 0600);
    assert_true(listener >= 0);
    assert_int_equal(fcntl(listener, F_SETFL, 0), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct handoff packet = {0};
        struct handoff_parts parts = {.strings = answer, .strings_len = len};
        size_t size = 0;
        int client = accept(listener, NULL, NULL);
        while (requests-- && handoff_receive(client, &packet) == HANDOFF_DONE) {
            struct stat status = {0};
            if (packet.fd_count && fstat(packet.fds[0], &status) == 0)
                size = (size_t)status.st_size;
            else
                size = packet.body_len;
            if (answer)
                handoff_send(client, &parts);
        }
        handoff_free(&packet);
        _exit((int)(size % 251));
    }
    close(listener);
    return pid;
}

static void
expect_bytes(pid_t queue, size_t size)
{
    int status;
    assert_int_equal(waitpid(queue, &status, 0), queue);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), size % 251);
}

static void
begin(struct injection *injection, size_t len)
{
    injection_start(injection);
    for (size_t i = 0; i < len; i++)
        injection_put(injection, "x", 1);
    injection_sender(injection, "me@a");
    injection_recipient(injection, "you@b");
}

enum { ENVELOPE = sizeof "Fme@a" + sizeof "Tyou@b" + 1 };

static void
hands_over_and_understands_the_receipt(void **state)
{
    (void)state;
    static const char answer[] = "0\000012345678901234567\00077";
    static const size_t lengths[] = {0, 100, HANDOFF_BODY_MAX - ENVELOPE,
                                     HANDOFF_BODY_MAX - ENVELOPE + 1, 2000000};
    struct injection injection;
    struct injection_receipt receipt = {0};

    injection_init(&injection);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        pid_t queue = start_queue(answer, sizeof answer, 1);
        begin(&injection, lengths[i]); /* the second one finds the old connection dead */
        assert_true(injection_commit(&injection, &receipt));
        assert_int_equal(receipt.code, QUEUE_OK);
        assert_true(receipt.id == 12345678901234567);
        assert_int_equal(receipt.pid, 77);
        expect_bytes(queue, lengths[i] + ENVELOPE);
    }
    injection_free(&injection);
}

static void
keeps_its_connection_for_many_messages(void **state)
{
    (void)state;
    static const char answer[] = "0\0001\0002";
    struct injection injection;
    struct injection_receipt receipt = {0};
    pid_t queue = start_queue(answer, sizeof answer, 3);

    injection_init(&injection);
    for (int i = 0; i < 3; i++) {
        begin(&injection, 10);
        assert_true(injection_commit(&injection, &receipt));
    }
    expect_bytes(queue, 10 + ENVELOPE);
    injection_free(&injection);
}

static void
tells_why_the_queue_refuses(void **state)
{
    (void)state;
    static const char answer[] = "53\0disk full";
    struct injection injection;
    struct injection_receipt receipt = {0};
    pid_t queue = start_queue(answer, sizeof answer, 1);

    injection_init(&injection);
    begin(&injection, 10);
    assert_false(injection_commit(&injection, &receipt));
    assert_int_equal(receipt.code, QUEUE_WRITE_ERROR);
    assert_false(injection_is_permanent(&receipt));
    expect_bytes(queue, 10 + ENVELOPE);
    injection_free(&injection);
}

static void
a_queue_that_dies_or_talks_nonsense_has_failed(void **state)
{
    (void)state;
    static const char *const answers[] = {NULL, "", "zero", "0", "0\0x\0y"};
    static const size_t lengths[] = {0, 1, 5, 2, 6};
    struct injection injection;
    struct injection_receipt receipt = {0};

    injection_init(&injection);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        pid_t queue = start_queue(answers[i], lengths[i], 1);
        begin(&injection, 10);
        assert_false(injection_commit(&injection, &receipt));
        assert_int_equal(receipt.code, QUEUE_TALK_FAILED);
        assert_int_equal(injection.socket, -1);
        expect_bytes(queue, 10 + ENVELOPE);
    }
    injection_free(&injection);
}

static void
without_a_queue_says_so(void **state)
{
    (void)state;
    struct injection injection;
    struct injection_receipt receipt = {0};
    unlink("queue/inject");
    injection_init(&injection);
    begin(&injection, 10);
    assert_false(injection_commit(&injection, &receipt));
    assert_int_equal(receipt.code, QUEUE_NO_QUEUE);
    injection_free(&injection);
}

static void
an_address_has_at_most_1002_bytes(void **state)
{
    (void)state;
    static const char answer[] = "0\0001\0002";
    char address[INJECTION_ADDRESS_MAX + 2];
    struct injection injection;
    struct injection_receipt receipt = {0};

    injection_init(&injection);
    memset(address, 'a', sizeof address);
    address[INJECTION_ADDRESS_MAX + 1] = '\0';
    injection_start(&injection);
    assert_true(injection_sender(&injection, ""));
    assert_false(injection_recipient(&injection, address));
    assert_false(injection_recipient(&injection, "you@b")); /* it stays refused */
    assert_false(injection_commit(&injection, &receipt));
    assert_int_equal(receipt.code, QUEUE_ADDRESS_TOO_LONG);
    assert_true(injection_is_permanent(&receipt));

    pid_t queue = start_queue(answer, sizeof answer, 1);
    address[INJECTION_ADDRESS_MAX] = '\0';
    injection_start(&injection);
    assert_true(injection_sender(&injection, address));
    assert_true(injection_recipient(&injection, address));
    assert_true(injection_commit(&injection, &receipt));
    expect_bytes(queue, 2 * (INJECTION_ADDRESS_MAX + 2) + 1);
    injection_free(&injection);
}

static void
runs_the_program_of_QMAILQUEUE(void **state)
{
    (void)state;
    struct injection injection;
    struct injection_receipt receipt = {0};
    FILE *file = fopen("program", "w");
    assert_non_null(file);
    fputs("#!/bin/sh\ncat >seen; cat <&1 >>seen; echo 'Dnot today' >&6; exit 82\n", file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod("program", 0755), 0);
    setenv("QMAILQUEUE", "./program", 1);
    injection_init(&injection);
    unsetenv("QMAILQUEUE");
    begin(&injection, 10);
    assert_false(injection_commit(&injection, &receipt));
    assert_int_equal(receipt.code, QUEUE_CUSTOM);
    assert_true(injection_is_permanent(&receipt));
    assert_string_equal(injection_reason(&receipt), "not today\n");
    struct stat status;
    assert_int_equal(stat("seen", &status), 0);
    assert_int_equal(status.st_size, 10 + ENVELOPE);
    injection_free(&injection);
    stralloc_free(&receipt.text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hands_over_and_understands_the_receipt),
        cmocka_unit_test(keeps_its_connection_for_many_messages),
        cmocka_unit_test(tells_why_the_queue_refuses),
        cmocka_unit_test(a_queue_that_dies_or_talks_nonsense_has_failed),
        cmocka_unit_test(without_a_queue_says_so),
        cmocka_unit_test(an_address_has_at_most_1002_bytes),
        cmocka_unit_test(runs_the_program_of_QMAILQUEUE),
    };
    return cmocka_run_group_tests(tests, enter_home, leave_folder);
}
