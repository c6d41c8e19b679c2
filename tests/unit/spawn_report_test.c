#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spawn_report.h"
#include "text.h"

/* Wait statuses as waitpid() gives them. */
enum { EXITED = 0x100, KILLED = 9 };

static stralloc report = STRALLOC_ZERO;

static const char *
remote(int status, const char *bytes, size_t len)
{
    stralloc output = STRALLOC_ZERO;
    assert_true(text_copy_bytes(&output, bytes, len));
    report.len = 0;
    assert_true(spawn_report_append_remote(&report, "qmail-remote", status, &output));
    assert_int_equal(report.s[report.len - 1], '\0');
    stralloc_free(&output);
    return report.s;
}

#define REMOTE(output) remote(0, output, sizeof output - 1)

static const char *
local(int status, const char *text)
{
    stralloc output = STRALLOC_ZERO;
    assert_true(text_copy(&output, text));
    report.len = 0;
    assert_true(spawn_report_append_local(&report, "qmail-local", status, &output));
    stralloc_free(&output);
    return report.s;
}

static void
a_remote_report_is_the_message_limited_by_the_recipient(void **state)
{
    (void)state;
    assert_string_equal(REMOTE("r\0Kaccepted\0"), "Kaccepted");
    assert_string_equal(REMOTE("rone \0Zlater\0"), "Zone later");
    assert_string_equal(REMOTE("r\0Dno\0"), "Dno");
    assert_string_equal(REMOTE("hbad\0Kfine\0"), "Dbad");
    assert_string_equal(REMOTE("sbusy\0Kfine\0"), "Zbusy");
    assert_string_equal(REMOTE("sbusy \0Dgiving up\0"), "Zbusy giving up");
    assert_string_equal(REMOTE("hbad \0Dgiving up\0"), "Dbad giving up");
    assert_string_equal(REMOTE("hbad \0Zgiving up\0"), "Dbad ");
}

static void
a_remote_report_may_have_a_message_part_only(void **state)
{
    (void)state;
    assert_string_equal(REMOTE("Zno DNS\0"), "Zno DNS");
    assert_string_equal(REMOTE("Dnot now\0trailing"), "Dnot now");
}

static void
a_remote_report_that_is_none_is_temporary(void **state)
{
    (void)state;
    assert_int_equal(REMOTE("")[0], 'Z');
    assert_int_equal(REMOTE("r\0")[0], 'Z');
    assert_int_equal(REMOTE("\0\0\0")[0], 'Z');
    assert_int_equal(REMOTE("r\0Kunfinished")[0], 'Z');
    assert_int_equal(REMOTE("garbage")[0], 'Z');
}

static void
a_remote_program_that_fails_is_told_by_its_exit_code(void **state)
{
    (void)state;
    assert_string_equal(remote(KILLED, "r\0K\0", 4), "Zqmail-remote crashed (#4.3.0)\n");
    assert_int_equal(remote(111 * EXITED, "r\0K\0", 4)[0], 'Z');
    assert_int_equal(remote(120 * EXITED, "", 0)[0], 'Z');
    assert_int_equal(remote(126 * EXITED, "", 0)[0], 'Z');
    assert_int_equal(remote(100 * EXITED, "r\0K\0", 4)[0], 'D');
}

static void
a_long_remote_text_is_cut(void **state)
{
    (void)state;
    static char output[10000];
    memset(output, 'x', sizeof output);
    output[0] = 'r';
    output[4999] = '\0';
    output[5000] = 'K';
    output[9999] = '\0';
    remote(0, output, sizeof output);
    assert_int_equal(report.len, SPAWN_REPORT_TEXT_MAX + 2);
    assert_int_equal(report.s[0], 'K');
}

static void
local_exit_codes_have_their_classes(void **state)
{
    static const int temporary[] = {111, 71, 74, 75, 113, 115, 117, 118, 119, 120, 126};
    (void)state;
    assert_string_equal(local(0, "did 1+0+0\n"), "Kdid 1+0+0\n");
    assert_string_equal(local(100 * EXITED, "no such\n"), "Dno such\n");
    assert_int_equal(local(1 * EXITED, "")[0], 'D');
    assert_int_equal(local(99 * EXITED, "")[0], 'D');
    for (size_t i = 0; i < sizeof temporary / sizeof *temporary; i++)
        assert_int_equal(local(temporary[i] * EXITED, "")[0], 'Z');
    assert_string_equal(local(KILLED, "did"), "Zqmail-local crashed (#4.3.0)\n");
}

static void
a_local_text_is_cut_at_3000_bytes(void **state)
{
    static char text[5000];
    (void)state;
    memset(text, 'y', sizeof text - 1);
    local(0, text);
    assert_int_equal(report.len, 1 + 3000 + 1);
}

/* What a session's packet with these strings gives for so many recipients. */
static int
append(const char *strings, size_t len, unsigned int recipients, size_t room)
{
    int sockets[2];
    struct handoff packet = {0};
    struct handoff_parts parts = {.strings = strings, .strings_len = len};
    assert_true(handoff_pair(sockets));
    assert_int_equal(handoff_send(sockets[0], &parts), HANDOFF_DONE);
    assert_int_equal(handoff_receive(sockets[1], &packet), HANDOFF_DONE);
    report.len = 0;
    int status = spawn_report_append(&report, &packet, recipients, room);
    handoff_free(&packet);
    close(sockets[0]);
    close(sockets[1]);
    return status;
}

#define APPEND(strings, recipients) append(strings, sizeof strings, recipients, 5)

static void
a_session_report_has_one_string_per_recipient(void **state)
{
    (void)state;
    assert_int_equal(APPEND("report\0"
                            "7\0"
                            "Kok",
                            1),
                     1);
    assert_memory_equal(report.s, "Kok", 4);
    assert_int_equal(APPEND("report\0"
                            "7\0"
                            "K\0"
                            "Zx\0"
                            "D",
                            3),
                     1);
    assert_int_equal(report.len, 2 + 3 + 2);
    assert_int_equal(APPEND("report\0"
                            "7\0"
                            "K\0"
                            "Zx",
                            3),
                     0);
    assert_int_equal(APPEND("report\0"
                            "7\0"
                            "K\0"
                            "Zx\0"
                            "D\0"
                            "K",
                            3),
                     0);
    assert_int_equal(APPEND("report\0"
                            "7",
                            1),
                     0);
    assert_int_equal(report.len, 0);
}

static void
a_session_report_with_another_letter_is_mangled(void **state)
{
    (void)state;
    assert_int_equal(APPEND("report\0"
                            "7\0"
                            "k",
                            1),
                     0);
    assert_int_equal(APPEND("report\0"
                            "7\0"
                            "",
                            1),
                     0);
    assert_int_equal(APPEND("report\0"
                            "7\0"
                            "K\0"
                            "xyz",
                            2),
                     0);
    assert_int_equal(report.len, 0);
}

static void
a_session_report_is_cut_to_its_room(void **state)
{
    (void)state;
    assert_int_equal(APPEND("report\0"
                            "7\0"
                            "K123456789",
                            1),
                     1);
    assert_memory_equal(report.s, "K12345", 7);
}

static void
so_many_texts_as_there_can_be_fit_one_packet(void **state)
{
    (void)state;
    for (unsigned int count = 1; count < 40000; count += 7)
        assert_true(count * (spawn_report_room(count) + 2) + 64 <= HANDOFF_STRINGS_MAX ||
                    spawn_report_room(count) == 0);
    assert_int_equal(spawn_report_room(1), 3000);
    report.len = 0;
    assert_true(spawn_report_append_all(&report, 3, "Zx"));
    assert_memory_equal(report.s, "Zx\0Zx\0Zx", 9);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_remote_report_is_the_message_limited_by_the_recipient),
        cmocka_unit_test(a_remote_report_may_have_a_message_part_only),
        cmocka_unit_test(a_remote_report_that_is_none_is_temporary),
        cmocka_unit_test(a_remote_program_that_fails_is_told_by_its_exit_code),
        cmocka_unit_test(a_long_remote_text_is_cut),
        cmocka_unit_test(local_exit_codes_have_their_classes),
        cmocka_unit_test(a_local_text_is_cut_at_3000_bytes),
        cmocka_unit_test(a_session_report_has_one_string_per_recipient),
        cmocka_unit_test(a_session_report_with_another_letter_is_mangled),
        cmocka_unit_test(a_session_report_is_cut_to_its_room),
        cmocka_unit_test(so_many_texts_as_there_can_be_fit_one_packet),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    stralloc_free(&report);
    return failed;
}
