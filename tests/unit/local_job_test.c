#include "local_forward.h"
#include "local_job.h"
#include "local_report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "text.h"

static struct local_job
job_with(const char *message)
{
    struct local_job job = {
        .local = "joe-list", .domain = "a.example", .sender = "s@b.example"};
    job.message = (struct message){.bytes = message, .len = strlen(message), .fd = -1};
    return job;
}

static void
expect_loop(const char *message, bool wanted)
{
    struct local_lines lines = {0};
    struct local_job job = job_with(message);

    assert_true(local_lines_make(&lines, &job, 0));
    assert_int_equal(local_job_loops(&job, &lines), wanted);
    local_lines_free(&lines);
}

static void
finds_its_own_line_in_the_header(void **state)
{
    (void)state;
    expect_loop("Delivered-To: joe-list@a.example\n", true);
    expect_loop("A: b\nDelivered-To: joe-list@a.example\nC: d\n", true);
    expect_loop("Delivered-To: joe-list@a.example", false);
    expect_loop("Delivered-To: joe-list@A.example\n", false);
    expect_loop("XDelivered-To: joe-list@a.example\n", false);
    expect_loop("A: b\n\nDelivered-To: joe-list@a.example\n", false);
    expect_loop("", false);
}

static void
keeps_newlines_out_of_its_lines(void **state)
{
    struct local_lines lines = {0};
    struct local_job job = job_with("");
    (void)state;
    job.local = "a\nb";
    job.sender = "c\nd\"e@x";
    assert_true(local_lines_make(&lines, &job, 0));
    assert_string_equal(lines.delivered_to.s, "Delivered-To: a_b@a.example\n");
    assert_string_equal(lines.return_path.s, "Return-Path: <\"c_d\\\"e\"@x>\n");
    local_lines_free(&lines);
}

static void
expect_sender(enum dot_qmail_owner owner, const char *wanted)
{
    stralloc sender = STRALLOC_ZERO;
    struct local_job job = job_with("");

    assert_true(local_forward_sender(&sender, &job, owner));
    assert_string_equal(sender.s, wanted);
    stralloc_free(&sender);
}

static void
makes_the_sender_of_forwards_from_owner_files(void **state)
{
    (void)state;
    expect_sender(DOT_QMAIL_OWNER_NONE, "s@b.example");
    expect_sender(DOT_QMAIL_OWNER_PLAIN, "joe-list-owner@a.example");
    expect_sender(DOT_QMAIL_OWNER_VERP, "joe-list-owner-@a.example-@[]");
}

static void
leaves_bounces_without_an_owner(void **state)
{
    (void)state;
    assert_false(local_forward_has_owner(""));
    assert_false(local_forward_has_owner("#@[]"));
    assert_true(local_forward_has_owner("a@b"));
}

static void
shortens_a_report_in_its_middle(void **state)
{
    stralloc text = STRALLOC_ZERO;
    (void)state;
    assert_true(text_copy(&text, "first"));
    for (unsigned int i = 0; i < LOCAL_REPORT_MAX; i++)
        assert_true(text_append(&text, "x"));
    assert_true(text_append(&text, "last"));
    local_report_shorten(&text);
    assert_true(text.len <= LOCAL_REPORT_MAX && text.len > LOCAL_REPORT_MAX - 3);
    assert_memory_equal(text.s, "first", 5);
    assert_string_equal(text.s + text.len - 4, "last");
    size_t len = text.len;
    local_report_shorten(&text);
    assert_int_equal(text.len, len);
    stralloc_free(&text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_its_own_line_in_the_header),
        cmocka_unit_test(keeps_newlines_out_of_its_lines),
        cmocka_unit_test(makes_the_sender_of_forwards_from_owner_files),
        cmocka_unit_test(leaves_bounces_without_an_owner),
        cmocka_unit_test(shortens_a_report_in_its_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
