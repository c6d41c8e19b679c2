#include "dot_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "text.h"

/* Read the only line, or the last of several. */
static struct dot_line
read_last(stralloc *text, const char *bytes, size_t len, bool forward_only)
{
    struct dot_lines lines;
    struct dot_line line = {0}, last = {0};

    assert_true(text_copy_bytes(text, bytes, len));
    dot_lines_start(&lines, text->s, text->len, forward_only);
    while (dot_lines_next(&lines, &line))
        last = line;
    return last;
}

static void
expect(const char *bytes, enum dot_line_kind kind, const char *value)
{
    stralloc text = STRALLOC_ZERO;
    struct dot_line line = read_last(&text, bytes, strlen(bytes), false);

    assert_int_equal(line.kind, kind);
    if (value)
        assert_string_equal(line.text, value);
    stralloc_free(&text);
}

static void
tells_the_kinds_apart_by_the_first_byte(void **state)
{
    (void)state;
    expect("# x", DOT_LINE_NOTHING, NULL);
    expect("| x y", DOT_LINE_PROGRAM, " x y");
    expect("|", DOT_LINE_PROGRAM, "");
    expect("./Maildir/", DOT_LINE_MAILDIR, "./Maildir/");
    expect("/", DOT_LINE_MAILDIR, "/");
    expect("/var/mail/x", DOT_LINE_MBOX, "/var/mail/x");
    expect(".", DOT_LINE_MBOX, ".");
    expect("&a@b", DOT_LINE_FORWARD, "a@b");
    expect("a@b", DOT_LINE_FORWARD, "a@b");
    expect("!a@b", DOT_LINE_FORWARD, "!a@b");
    expect("&|a", DOT_LINE_FORWARD, "|a");
    expect("+word", DOT_LINE_NOTHING, NULL);
}

static void
cuts_blanks_at_the_end_but_no_carriage_return(void **state)
{
    (void)state;
    expect("./Maildir/ \t \n", DOT_LINE_MAILDIR, "./Maildir/");
    expect("./Maildir/\r\n", DOT_LINE_MBOX, "./Maildir/\r");
}

static void
takes_a_leading_blank_as_a_forward(void **state)
{
    (void)state;
    expect("#\n  a@b", DOT_LINE_FORWARD, "a@b");
    expect(" |a", DOT_LINE_FORWARD, "|a");
    expect("\t& a@b", DOT_LINE_FORWARD, "a@b");
}

static void
refuses_a_blank_first_line_only(void **state)
{
    (void)state;
    expect("\n", DOT_LINE_BLANK_FIRST, NULL);
    expect(" \t", DOT_LINE_BLANK_FIRST, NULL);
    expect("#\n \t\n", DOT_LINE_NOTHING, NULL);
}

static void
refuses_nul_bytes_outside_comments(void **state)
{
    stralloc text = STRALLOC_ZERO;
    (void)state;
    assert_int_equal(read_last(&text, "a\0b", 3, false).kind, DOT_LINE_NUL);
    assert_int_equal(read_last(&text, "\0b", 2, false).kind, DOT_LINE_BLANK_FIRST);
    assert_int_equal(read_last(&text, "#\n\0b", 4, false).kind, DOT_LINE_NUL);
    assert_int_equal(read_last(&text, "#\0b", 3, false).kind, DOT_LINE_NOTHING);
    stralloc_free(&text);
}

static void
refuses_a_forward_to_nobody(void **state)
{
    (void)state;
    expect("&", DOT_LINE_NO_ADDRESS, NULL);
    expect("& \t", DOT_LINE_NO_ADDRESS, NULL);
}

static void
allows_only_forwards_after_list_or_with_the_x_bit(void **state)
{
    stralloc text = STRALLOC_ZERO;
    (void)state;
    expect("+list\n./x", DOT_LINE_FILE_FORBIDDEN, NULL);
    expect("+list \n|x", DOT_LINE_PROGRAM_FORBIDDEN, NULL);
    expect("+list\na@b", DOT_LINE_FORWARD, "a@b");
    expect("+lists\n|x", DOT_LINE_PROGRAM, "x");
    assert_int_equal(read_last(&text, "./x/", 4, true).kind, DOT_LINE_FILE_FORBIDDEN);
    assert_int_equal(read_last(&text, "x", 1, true).kind, DOT_LINE_FORWARD);
    stralloc_free(&text);
}

static void
has_a_complaint_for_each_kind_that_stops(void **state)
{
    (void)state;
    for (int kind = DOT_LINE_NOTHING; kind <= DOT_LINE_NO_ADDRESS; kind++) {
        const char *complaint = dot_line_complaint((enum dot_line_kind)kind);
        assert_int_equal(complaint != NULL, kind >= DOT_LINE_BLANK_FIRST);
        assert_true(!complaint || strstr(complaint, "(#4."));
    }
}

static void
reads_nothing_from_nothing(void **state)
{
    struct dot_lines lines;
    struct dot_line line;
    char empty[] = "";
    (void)state;
    dot_lines_start(&lines, empty, 0, false);
    assert_false(dot_lines_next(&lines, &line));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_the_kinds_apart_by_the_first_byte),
        cmocka_unit_test(cuts_blanks_at_the_end_but_no_carriage_return),
        cmocka_unit_test(takes_a_leading_blank_as_a_forward),
        cmocka_unit_test(refuses_a_blank_first_line_only),
        cmocka_unit_test(refuses_nul_bytes_outside_comments),
        cmocka_unit_test(refuses_a_forward_to_nobody),
        cmocka_unit_test(allows_only_forwards_after_list_or_with_the_x_bit),
        cmocka_unit_test(has_a_complaint_for_each_kind_that_stops),
        cmocka_unit_test(reads_nothing_from_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
