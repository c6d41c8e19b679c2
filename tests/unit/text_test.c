#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "text.h"

static void
copies_and_appends_with_a_nul_behind(void **state)
{
    (void)state;
    stralloc out = STRALLOC_ZERO;
    assert_true(text_append(&out, ""));
    assert_int_equal(out.len, 0);
    assert_string_equal(out.s, "");
    assert_true(text_copy(&out, "ab"));
    assert_true(text_append_bytes(&out, "c\0d", 3));
    assert_int_equal(out.len, 5);
    assert_memory_equal(out.s, "abc\0d", 6);
    assert_true(text_copy_bytes(&out, NULL, 0));
    assert_int_equal(out.len, 0);
    assert_int_equal(out.s[0], '\0');
    stralloc_free(&out);
}

static void
appends_numbers_in_decimal(void **state)
{
    (void)state;
    stralloc out = STRALLOC_ZERO;
    assert_true(text_append_number(&out, 0) && text_append(&out, " ") &&
                text_append_number(&out, UINT64_MAX));
    assert_string_equal(out.s, "0 18446744073709551615");
    stralloc_free(&out);
}

static void
appends_strings_with_their_nul(void **state)
{
    stralloc out = STRALLOC_ZERO;
    (void)state;
    assert_true(text_append_string(&out, "job"));
    assert_true(text_append_string(&out, ""));
    assert_true(text_append_number_string(&out, 4711));
    assert_int_equal(out.len, 10);
    assert_memory_equal(out.s, "job\0\0004711\0", 11); /* one more behind, not counted */
    stralloc_free(&out);
}

static void
scans_a_number_of_so_many_digits(void **state)
{
    (void)state;
    uint64_t number;
    assert_true(text_scan_digits("0042 7", 4, 10, &number));
    assert_int_equal(number, 42);
    assert_true(text_scan_digits("18446744073709551615", 20, 10, &number));
    assert_true(number == UINT64_MAX);
    assert_true(text_scan_digits("00c0ffee", 8, 16, &number));
    assert_int_equal(number, 0xc0ffee);
    assert_false(text_scan_digits("18446744073709551616", 20, 10, &number));
    assert_false(text_scan_digits("0042 7", 5, 10, &number));
    assert_false(text_scan_digits("-1", 2, 10, &number));
    assert_false(text_scan_digits("0a", 2, 10, &number));
    assert_false(text_scan_digits("0A", 2, 16, &number));
}

static void
safe_text_has_only_printable_ascii(void **state)
{
    (void)state;
    stralloc out = STRALLOC_ZERO;
    assert_true(text_copy(&out, "\n:"));
    assert_true(text_append_safe(&out, "a b\n\x7f\xc3~\0!", 9, false));
    assert_string_equal(out.s, "\n:a b___~_!");
    assert_true(text_copy(&out, ""));
    assert_true(text_append_safe(&out, "a b\t", 4, true));
    assert_string_equal(out.s, "a_b_");
    stralloc_free(&out);
}

static void
lowers_ascii_letters_only(void **state)
{
    (void)state;
    char bytes[] = "AZaz@[`{\xc3\x84";
    text_lower(bytes, sizeof bytes - 1);
    assert_string_equal(bytes, "azaz@[`{\xc3\x84");
    assert_true(text_equal_nocase("Ab@C", "aB@c"));
    assert_false(text_equal_nocase("ab", "abc"));
}

static void
writes_dates_in_utc(void **state)
{
    (void)state;
    stralloc out = STRALLOC_ZERO;
    assert_true(text_append_date(&out, 0) && text_append(&out, "|") &&
                text_append_date(&out, 1795171154) && text_append(&out, "|") &&
                text_append_date(&out, 951825599));
    assert_string_equal(out.s, "1 Jan 1970 00:00:00 -0000|20 Nov 2026 10:39:14 -0000|"
                               "29 Feb 2000 11:59:59 -0000");
    stralloc_free(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_and_appends_with_a_nul_behind),
        cmocka_unit_test(appends_numbers_in_decimal),
        cmocka_unit_test(appends_strings_with_their_nul),
        cmocka_unit_test(scans_a_number_of_so_many_digits),
        cmocka_unit_test(safe_text_has_only_printable_ascii),
        cmocka_unit_test(lowers_ascii_letters_only),
        cmocka_unit_test(writes_dates_in_utc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
