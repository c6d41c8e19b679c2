#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "remote_reply.h"

/* Feed text in pieces of step bytes. returns the status; *used: all bytes taken */
static enum remote_reply_status
feed(struct remote_reply *reply, const char *text, size_t step, size_t *used)
{
    enum remote_reply_status status = REMOTE_REPLY_MORE;
    size_t len = strlen(text), taken;

    assert_true(remote_reply_reset(reply));
    *used = 0;
    while (status == REMOTE_REPLY_MORE && *used < len) {
        size_t piece = len - *used < step ? len - *used : step;
        status = remote_reply_feed(reply, text + *used, piece, &taken);
        *used += taken;
    }
    return status;
}

static void
a_reply_comes_in_pieces_of_any_size(void **state)
{
    (void)state;
    struct remote_reply reply = {.code = 0};
    size_t used;
    for (size_t step = 1; step < 40; step++) {
        assert_int_equal(
            feed(&reply, "250-one\r\n250-two\r\n250 three\r\n354 next\r\n", step, &used),
            REMOTE_REPLY_DONE);
        assert_int_equal(reply.code, 250);
        assert_int_equal(used, 29);
        assert_string_equal(reply.text.s, "250-one\n250-two\n250 three\n");
    }
    remote_reply_free(&reply);
}

static void
a_bare_code_and_a_bare_lf_are_enough(void **state)
{
    (void)state;
    struct remote_reply reply = {.code = 0};
    size_t used;
    assert_int_equal(feed(&reply, "250\n", 9, &used), REMOTE_REPLY_DONE);
    assert_int_equal(reply.code, 250);
    assert_int_equal(remote_reply_class(&reply), 2);
    remote_reply_free(&reply);
}

static void
what_is_no_reply_is_bad(void **state)
{
    (void)state;
    static const char *const bad[] = {"hello\r\n", "\r\n",       "25\r\n",
                                      "150 x\r\n", "650 x\r\n",  "2500 x\r\n",
                                      "250x\r\n",  " 250 x\r\n", "250-a\r\nb\r\n"};
    struct remote_reply reply = {.code = 0};
    size_t used;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(feed(&reply, bad[i], 100, &used), REMOTE_REPLY_BAD);
    remote_reply_free(&reply);
}

static void
endless_replies_and_lines_are_bad(void **state)
{
    (void)state;
    struct remote_reply reply = {.code = 0};
    enum remote_reply_status status = REMOTE_REPLY_MORE;
    size_t used, total = 0;

    assert_true(remote_reply_reset(&reply));
    while (status == REMOTE_REPLY_MORE && total < 100000000) {
        status = remote_reply_feed(&reply, "250-more and more\r\n", 19, &used);
        total += used;
    }
    assert_int_equal(status, REMOTE_REPLY_BAD);
    assert_true(reply.text.len <= REMOTE_REPLY_TEXT_MAX);
    assert_true(remote_reply_reset(&reply));
    status = REMOTE_REPLY_MORE;
    while (status == REMOTE_REPLY_MORE && total < 200000000) {
        status = remote_reply_feed(&reply, "2500000000", 10, &used);
        total += used;
    }
    assert_int_equal(status, REMOTE_REPLY_BAD);
    assert_true(reply.line.len <= 1000);
    remote_reply_free(&reply);
}

static void
the_text_is_printable(void **state)
{
    (void)state;
    struct remote_reply reply = {.code = 0};
    size_t used;
    assert_int_equal(feed(&reply, "550 \033[2J\xff\rx\r\n", 100, &used),
                     REMOTE_REPLY_DONE);
    assert_string_equal(reply.text.s, "550 ?[2J??x\n");
    remote_reply_free(&reply);
}

static void
expect_status(const char *text, const char *expected)
{
    struct remote_reply reply = {.code = 0};
    char status[REMOTE_REPLY_STATUS_MAX];
    size_t used;
    assert_int_equal(feed(&reply, text, 100, &used), REMOTE_REPLY_DONE);
    remote_reply_enhanced(status, &reply, ".1.1");
    assert_string_equal(status, expected);
    remote_reply_free(&reply);
}

static void
enhanced_codes_are_taken_when_they_agree(void **state)
{
    (void)state;
    expect_status("550 5.7.26 no\r\n", "5.7.26");
    expect_status("550 5.123.456\r\n", "5.123.456");
    expect_status("550-5.7.1 a\r\n550 5.7.2 b\r\n", "5.7.2");
    expect_status("550 4.7.1 no\r\n", "5.1.1");
    expect_status("450 4.7.1 no\r\n", "4.7.1");
    expect_status("550 5.1234.1 no\r\n", "5.1.1");
    expect_status("550 5.7 no\r\n", "5.1.1");
    expect_status("550 5.7.1x no\r\n", "5.1.1");
    expect_status("550\r\n", "5.1.1");
}

static void
codes_for_our_own_failures_cannot_come_from_outside(void **state)
{
    (void)state;
    expect_status("450 4.4.1 x\r\n", "4.4.0");
    expect_status("450 4.4.2 x\r\n", "4.4.0");
    expect_status("450 4.4.10 x\r\n", "4.4.10");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_comes_in_pieces_of_any_size),
        cmocka_unit_test(a_bare_code_and_a_bare_lf_are_enough),
        cmocka_unit_test(what_is_no_reply_is_bad),
        cmocka_unit_test(endless_replies_and_lines_are_bad),
        cmocka_unit_test(the_text_is_printable),
        cmocka_unit_test(enhanced_codes_are_taken_when_they_agree),
        cmocka_unit_test(codes_for_our_own_failures_cannot_come_from_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
