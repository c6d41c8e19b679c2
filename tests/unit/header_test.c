#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "header.h"

static void
assert_name_length(const char *line, size_t len)
{
    assert_int_equal(header_name_length(line, strlen(line)), len);
}

static void
a_field_begins_with_a_printable_name_and_a_colon(void **state)
{
    (void)state;
    assert_name_length("Subject: hi\n", 7);
    assert_name_length("X:", 1);
    assert_name_length("Subject \t: hi\n", 7);
    assert_name_length("!#$%&'*+-/=?^_`{|}~;(): x\n", 22);
}

static void
other_lines_begin_no_field(void **state)
{
    (void)state;
    assert_name_length("", 0);
    assert_name_length("\n", 0);
    assert_name_length(": no name\n", 0);
    assert_name_length("no colon\n", 0);
    assert_name_length("two words: x\n", 0);
    assert_name_length(" folded: x\n", 0);
    assert_name_length("J\xc3\xb6: x\n", 0);
    assert_name_length("\x7f: x\n", 0);
    assert_name_length("From joe@x Thu Jan  1 00:00:00 1970\n", 0);
}

static void
a_nul_does_not_end_the_search_early(void **state)
{
    (void)state;
    assert_int_equal(header_name_length("a\0: x", 6), 0);
}

static void
walks_the_fields_with_their_folded_lines(void **state)
{
    (void)state;
    static const char text[] = "A: 1\nB : two\n\tmore\n lines\nC:\n\nbody: x\n";
    struct header_field field;
    size_t at = 0;

    assert_true(header_next(text, sizeof text - 1, &at, &field));
    assert_int_equal(field.len, 5);
    assert_true(header_field_is(&field, "a"));
    assert_true(header_next(text, sizeof text - 1, &at, &field));
    assert_true(header_field_is(&field, "b"));
    assert_false(header_field_is(&field, "B "));
    assert_int_equal(field.name_len, 1);
    assert_int_equal(field.len, strlen("B : two\n\tmore\n lines\n"));
    assert_memory_equal(field.value, " two\n\tmore", 10);
    assert_true(header_next(text, sizeof text - 1, &at, &field));
    assert_true(header_field_is(&field, "C"));
    assert_int_equal(field.value_len, 1);
    assert_false(header_next(text, sizeof text - 1, &at, &field));
    assert_string_equal(text + at, "\nbody: x\n");
}

static void
the_last_line_needs_no_newline(void **state)
{
    (void)state;
    struct header_field field;
    size_t at = 0;
    assert_true(header_next("A: 1\n B", 7, &at, &field));
    assert_int_equal(field.len, 7);
    assert_int_equal(at, 7);
    assert_false(header_next("A: 1\n B", 7, &at, &field));
}

static void
an_empty_header_has_no_fields(void **state)
{
    (void)state;
    struct header_field field;
    size_t at = 0;
    assert_false(header_next(NULL, 0, &at, &field));
    assert_false(header_is_continuation(NULL, 0));
}

static void
names_are_compared_whole(void **state)
{
    (void)state;
    struct header_field field;
    size_t at = 0;
    assert_true(header_next("Resent-To: x\n", 13, &at, &field));
    assert_false(header_field_is(&field, "Resent"));
    assert_false(header_field_is(&field, "Resent-To:"));
    assert_false(header_field_is(&field, "To"));
    assert_true(header_field_is(&field, "RESENT-tO"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_field_begins_with_a_printable_name_and_a_colon),
        cmocka_unit_test(other_lines_begin_no_field),
        cmocka_unit_test(a_nul_does_not_end_the_search_early),
        cmocka_unit_test(walks_the_fields_with_their_folded_lines),
        cmocka_unit_test(the_last_line_needs_no_newline),
        cmocka_unit_test(an_empty_header_has_no_fields),
        cmocka_unit_test(names_are_compared_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
