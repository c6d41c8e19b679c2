/* The words of failure notices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bounce.h"
#include "event_log.h"
#include "text.h"

static struct config config;

static int
set_up(void **state)
{
    (void)state;
    return text_copy(&config.bouncefrom, "MAILER-DAEMON") &&
                   text_copy(&config.bouncehost, "me.example") &&
                   text_copy(&config.doublebounceto, "postmaster") &&
                   text_copy(&config.doublebouncehost, "double.example")
               ? 0
               : -1;
}

static int
tear_down(void **state)
{
    (void)state;
    config_free(&config);
    return 0;
}

static void
tells_apart_single_double_and_triple_bounces(void **state)
{
    (void)state;
    assert_int_equal(bounce_kind_of("joe@me.example"), BOUNCE_SINGLE);
    assert_int_equal(bounce_kind_of(""), BOUNCE_DOUBLE);
    assert_int_equal(bounce_kind_of("#@[]"), BOUNCE_TRIPLE);
    assert_int_equal(bounce_kind_of("list-@me.example-@[]"), BOUNCE_SINGLE);
}

static void
writes_one_paragraph_per_failure(void **state)
{
    (void)state;
    stralloc text = STRALLOC_ZERO;
    assert_true(bounce_append_failure(&text, "a@b.example", "no such user\n"));
    assert_true(bounce_append_failure(&text, "c@d.example", "one\n\n\ntwo"));
    assert_true(bounce_append_failure(&text, "e\n@f.example", ""));
    assert_true(bounce_append_failure(&text, "g@h.example", "\n\nlate\n\n"));
    assert_string_equal(text.s, "<a@b.example>:\nno such user\n\n"
                                "<c@d.example>:\none\n/\ntwo\n\n"
                                "<e_@f.example>:\n\n"
                                "<g@h.example>:\n/\nlate\n\n");
    stralloc_free(&text);
}

static void
keeps_reasons_short(void **state)
{
    (void)state;
    stralloc text = STRALLOC_ZERO;
    static char reason[BOUNCE_REASON_MAX * 2];
    memset(reason, 'x', sizeof reason - 1);
    assert_true(bounce_append_failure(&text, "a@b", reason));
    assert_int_equal(text.len, strlen("<a@b>:\n\n\n") + BOUNCE_REASON_MAX);
    while (text.len <= BOUNCE_FAILURES_MAX)
        assert_true(bounce_append_failure(&text, "a@b", reason));
    size_t before = text.len;
    assert_true(bounce_append_failure(&text, "a@b", reason));
    assert_int_equal(text.len - before, strlen("<a@b>:\n\n\n") + BOUNCE_REASON_SHORT);
    stralloc_free(&text);
}

static void
has_the_form_that_parsers_of_qsbmf_expect(void **state)
{
    (void)state;
    stralloc failures = STRALLOC_ZERO, text = STRALLOC_ZERO;
    assert_true(bounce_append_failure(&failures, "a@b.example", "no (#5.1.1)\n"));
    assert_true(bounce_make_text(&text, &config, BOUNCE_SINGLE, "jo e@me.example",
                                 &failures, 1789000000));
    const char *body = strstr(text.s, "\n\n");
    assert_non_null(body);
    assert_true(
        strncmp(body, "\n\nHi. This is the qmail-send program at me.example.", 51) == 0);
    assert_non_null(strstr(text.s, "Date: "));
    assert_non_null(strstr(text.s, "\nFrom: MAILER-DAEMON@me.example\n"));
    assert_non_null(strstr(text.s, "\nTo: \"jo e\"@me.example\n"));
    assert_non_null(strstr(text.s, "\nSubject: failure notice\n"));
    assert_non_null(strstr(body, "\n\n<a@b.example>:\nno (#5.1.1)\n\n---"));
    assert_non_null(strstr(body, "\n\nReturn-Path: <\"jo e\"@me.example>\n"));
    stralloc_free(&failures);
    stralloc_free(&text);
}

static void
tells_a_double_bounce_to_doublebounceto(void **state)
{
    (void)state;
    stralloc to = STRALLOC_ZERO;
    assert_true(bounce_find_recipient(&to, &config, BOUNCE_DOUBLE, ""));
    assert_string_equal(to.s, "postmaster@double.example");
    assert_true(bounce_find_recipient(&to, &config, BOUNCE_SINGLE, "joe@me.example"));
    assert_string_equal(to.s, "joe@me.example");
    assert_true(
        bounce_find_recipient(&to, &config, BOUNCE_SINGLE, "list-@me.example-@[]"));
    assert_string_equal(to.s, "list-@me.example");
    stralloc_free(&to);
}

static void
logs_foreign_text_without_odd_bytes(void **state)
{
    (void)state;
    struct event_log log = {0};
    event_log_text(&log, "delivery ");
    event_log_number(&log, 7);
    event_log_text(&log, ": success: ");
    event_log_safe(&log, "100% sure\n\x01\xff~!\n");
    event_log_end(&log);
    assert_true(stralloc_0(&log.pending));
    assert_string_equal(log.pending.s, "delivery 7: success: 100__sure/__~!/\n");
    stralloc_free(&log.pending);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_apart_single_double_and_triple_bounces),
        cmocka_unit_test(writes_one_paragraph_per_failure),
        cmocka_unit_test(keeps_reasons_short),
        cmocka_unit_test_setup_teardown(has_the_form_that_parsers_of_qsbmf_expect, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(tells_a_double_bounce_to_doublebounceto, set_up,
                                        tear_down),
        cmocka_unit_test(logs_foreign_text_without_odd_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
