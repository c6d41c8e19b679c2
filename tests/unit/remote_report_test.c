#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "remote_report.h"

/* The strings of out, with '|' for each '\0'. */
static const char *
shown(stralloc *out)
{
    for (size_t i = 0; i < out->len; i++)
        if (!out->s[i])
            out->s[i] = '|';
    assert_true(stralloc_0(out));
    return out->s;
}

static void
make(struct remote_report *report, const char *letters, char message)
{
    char text[2] = "0";
    memset(report, 0, sizeof *report);
    assert_true(remote_report_reset(report, strlen(letters)));
    for (size_t i = 0; letters[i]; i++) {
        text[0] = (char)('0' + i);
        if (letters[i] != '-')
            assert_true(remote_report_recipient(report, i, letters[i],
                                                letters[i] == 'r' ? "" : text));
    }
    if (message)
        assert_true(remote_report_message(report, message, "text"));
}

static void
expect(const char *letters, char message, const char *classic, const char *merged)
{
    struct remote_report report;
    stralloc out = STRALLOC_ZERO;
    make(&report, letters, message);
    assert_true(remote_report_append_classic(&out, &report));
    assert_string_equal(shown(&out), classic);
    out.len = 0;
    assert_true(remote_report_append_merged(&out, &report, 1000));
    assert_string_equal(shown(&out), merged);
    stralloc_free(&out);
    remote_report_free(&report);
}

static void
the_message_is_limited_by_the_recipient(void **state)
{
    (void)state;
    expect("rhs", 'K', "r|h1|s2|Ktext|", "Ktext|D1|Z2|");
    expect("rhs", 'Z', "r|h1|s2|Ztext|", "Ztext|D1|Z2|");
    expect("rhs", 'D', "r|h1|s2|Dtext|", "Dtext|D1|Z2|");
}

static void
recipients_that_were_not_asked_share_the_message(void **state)
{
    (void)state;
    expect("---", 'D', "Dtext|", "Dtext|Dtext|Dtext|");
    expect("r--", 'Z', "r|Ztext|", "Ztext|Ztext|Ztext|");
    expect("-h-", 'Z', "Ztext|", "Ztext|D1|Ztext|");
}

static void
no_verdict_is_temporary(void **state)
{
    (void)state;
    expect("r", '\0', "r|Z|", "Z|");
}

static void
texts_are_cut_so_that_all_fit(void **state)
{
    (void)state;
    struct remote_report report = {.count = 0};
    stralloc out = STRALLOC_ZERO;
    char large[9000];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    assert_true(remote_report_reset(&report, 100));
    for (size_t i = 0; i < 100; i++)
        assert_true(remote_report_recipient(&report, i, 'h', large));
    assert_true(remote_report_message(&report, 'D', large));
    assert_true(remote_report_append_merged(&out, &report, 65000));
    assert_true(out.len <= 65000 && out.len > 60000);
    out.len = 0;
    assert_true(remote_report_reset(&report, 1));
    assert_true(remote_report_message(&report, 'D', large));
    assert_true(remote_report_append_merged(&out, &report, 65000));
    assert_int_equal(out.len, REMOTE_REPORT_TEXT_MAX + 2);
    stralloc_free(&out);
    remote_report_free(&report);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_message_is_limited_by_the_recipient),
        cmocka_unit_test(recipients_that_were_not_asked_share_the_message),
        cmocka_unit_test(no_verdict_is_temporary),
        cmocka_unit_test(texts_are_cut_so_that_all_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
