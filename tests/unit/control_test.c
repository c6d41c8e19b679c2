#include <errno.h>

#include "control.h"
#include "testing.h"

static void
assert_line(const char *content, const char *line)
{
    stralloc value = STRALLOC_ZERO;
    write_file("control/x", content);
    assert_int_equal(control_read_line(&value, "control/x"), CONTROL_FOUND);
    assert_string_equal(value.s, line);
    assert_int_equal(value.len, strlen(line));
    stralloc_free(&value);
}

static void
reads_the_first_line_without_trailing_blanks(void **state)
{
    (void)state;
    assert_line("one \t\ntwo\n", "one");
    assert_line("  one two", "  one two");
    assert_line("one \t", "one");
    assert_line("", "");
    assert_line("\nx\n", "");
    assert_line("one\r\n", "one");
    assert_line("# not a comment here\n", "# not a comment here");
}

static void
a_missing_file_is_absent_and_not_an_error(void **state)
{
    (void)state;
    stralloc value = STRALLOC_ZERO;
    assert_int_equal(control_read_line(&value, "control/none"), CONTROL_ABSENT);
    assert_string_equal(value.s, "");
    assert_int_equal(control_read_list(&value, "control/none"), CONTROL_ABSENT);
    assert_int_equal(value.len, 0);
    stralloc_free(&value);
}

static void
what_cannot_be_read_is_an_error(void **state)
{
    (void)state;
    stralloc value = STRALLOC_ZERO;
    uint64_t number = 7;
    assert_int_equal(control_read_line(&value, "control"), CONTROL_ERROR);
    assert_int_equal(control_read_list(&value, "control"), CONTROL_ERROR);
    assert_int_equal(control_read_number(&number, "control"), CONTROL_ERROR);
    assert_int_equal(symlink("loop", "control/loop"), 0);
    assert_int_equal(control_read_line(&value, "control/loop"), CONTROL_ERROR);
    assert_int_equal(errno, ELOOP);
    stralloc_free(&value);
}

static void
me_stands_in_for_a_missing_file(void **state)
{
    (void)state;
    stralloc value = STRALLOC_ZERO;
    assert_int_equal(control_read_line_or_me(&value, "control/none", "word"),
                     CONTROL_FOUND);
    assert_string_equal(value.s, "word");
    write_file("control/me", "me.example \n");
    assert_int_equal(control_read_line_or_me(&value, "control/none", "word"),
                     CONTROL_FOUND);
    assert_string_equal(value.s, "me.example");
    write_file("control/x", "");
    assert_int_equal(control_read_line_or_me(&value, "control/x", "word"), CONTROL_FOUND);
    assert_string_equal(value.s, "");
    assert_int_equal(control_read_line_or_me(&value, "control/loop", "word"),
                     CONTROL_ERROR);
    stralloc_free(&value);
}

static void
a_list_has_no_comments_and_no_empty_lines(void **state)
{
    (void)state;
    static const char text[] = "# no\none \n\n  two\t\n#\n \nthree\0cut\nfour";
    static const char want[] = "one\0  two\0three\0four";
    stralloc list = STRALLOC_ZERO;
    write_file_bytes("control/list", text, sizeof text - 1);
    assert_int_equal(control_read_list(&list, "control/list"), CONTROL_FOUND);
    assert_int_equal(list.len, sizeof want);
    assert_memory_equal(list.s, want, sizeof want);
    stralloc_free(&list);
}

static void
numbers_are_decimal_and_whole(void **state)
{
    (void)state;
    uint64_t number = 7;
    assert_int_equal(control_read_number(&number, "control/none"), CONTROL_ABSENT);
    assert_int_equal(number, 7);
    write_file("control/n", "1200 \n");
    assert_int_equal(control_read_number(&number, "control/n"), CONTROL_FOUND);
    assert_int_equal(number, 1200);
    write_file("control/n", "\n");
    assert_int_equal(control_read_number(&number, "control/n"), CONTROL_ABSENT);
    assert_int_equal(number, 1200);
    static const char *const wrong[] = {"x", "12x", "-1", "18446744073709551616"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        write_file("control/n", wrong[i]);
        assert_int_equal(control_read_number(&number, "control/n"), CONTROL_ERROR);
        assert_int_equal(errno, EINVAL);
        assert_int_equal(number, 1200);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_first_line_without_trailing_blanks),
        cmocka_unit_test(a_missing_file_is_absent_and_not_an_error),
        cmocka_unit_test(what_cannot_be_read_is_an_error),
        cmocka_unit_test(me_stands_in_for_a_missing_file),
        cmocka_unit_test(a_list_has_no_comments_and_no_empty_lines),
        cmocka_unit_test(numbers_are_decimal_and_whole),
    };
    return cmocka_run_group_tests(tests, enter_home, leave_folder);
}
