#include "drop_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct drop_file usual = {
    .message_len = 18, .envelope_len = 15, .pid = 4711};

static void
reads_back_what_was_written(void **state)
{
    (void)state;
    char text[DROP_FILE_FOOTER_LEN];
    struct drop_file drop;
    drop_file_format(text, &usual);
    assert_true(drop_file_parse(&drop, text, 18 + 15 + DROP_FILE_FOOTER_LEN));
    assert_int_equal(drop.message_len, 18);
    assert_int_equal(drop.envelope_len, 15);
    assert_int_equal(drop.pid, 4711);
}

static void
refuses_lengths_that_do_not_add_up(void **state)
{
    (void)state;
    char text[DROP_FILE_FOOTER_LEN];
    struct drop_file drop;
    drop_file_format(text, &usual);
    assert_false(drop_file_parse(&drop, text, 18 + 15 + DROP_FILE_FOOTER_LEN + 1));
    assert_false(drop_file_parse(&drop, text, DROP_FILE_FOOTER_LEN));
    assert_false(drop_file_parse(&drop, text, 0));
    memcpy(text + 17, "18446744073709551615", 20);
    assert_false(drop_file_parse(&drop, text, 14 + DROP_FILE_FOOTER_LEN));
}

static void
refuses_any_other_byte_in_its_fields(void **state)
{
    (void)state;
    char text[DROP_FILE_FOOTER_LEN];
    struct drop_file drop;
    for (size_t at = 0; at < 60; at++) {
        drop_file_format(text, &usual);
        text[at] = 'x';
        assert_false(drop_file_parse(&drop, text, 18 + 15 + DROP_FILE_FOOTER_LEN));
    }
    drop_file_format(text, &usual);
    text[DROP_FILE_FOOTER_LEN - 1] = ' ';
    assert_false(drop_file_parse(&drop, text, 18 + 15 + DROP_FILE_FOOTER_LEN));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_back_what_was_written),
        cmocka_unit_test(refuses_lengths_that_do_not_add_up),
        cmocka_unit_test(refuses_any_other_byte_in_its_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
