#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "assign_line.h"

static stralloc key = STRALLOC_ZERO;
static stralloc data = STRALLOC_ZERO;
static char wild;

static enum assign_status
parse(const char *line)
{
    const char *reason;
    enum assign_status status =
        assign_line_parse(line, strlen(line), &key, &data, &wild, &reason);
    assert_true((status == ASSIGN_SYNTAX) == (reason != NULL));
    return status;
}

static void
an_exact_line_is_a_key_with_nul(void **state)
{
    (void)state;
    assert_int_equal(parse("=Joe:joe:507:100:/home/joe:::"), ASSIGN_RECORD);
    assert_int_equal(key.len, 5);
    assert_memory_equal(key.s, "!joe\0", 5);
    assert_int_equal(data.len, 23);
    assert_memory_equal(data.s,
                        "joe\0"
                        "507\0"
                        "100\0"
                        "/home/joe\0"
                        "\0"
                        "",
                        23);
    assert_int_equal(wild, '\0');
}

static void
a_wildcard_line_is_a_key_without_nul_and_its_last_byte(void **state)
{
    (void)state;
    assert_int_equal(parse("+Joe-X:joe:507:100:/home/joe:-:pre:rest is ignored"),
                     ASSIGN_RECORD);
    assert_int_equal(key.len, 6);
    assert_memory_equal(key.s, "!joe-x", 6);
    assert_int_equal(wild, 'x');
    assert_memory_equal(data.s + data.len - 5, "-\0pre", 5);
}

static void
the_empty_wildcard_has_no_last_byte(void **state)
{
    (void)state;
    assert_int_equal(parse("+:alias:7790:2108:/var/qmail/alias:-::"), ASSIGN_RECORD);
    assert_int_equal(key.len, 1);
    assert_int_equal(wild, '\0');
}

static void
any_other_first_byte_means_exact(void **state)
{
    (void)state;
    assert_int_equal(parse("xjoe:joe:1:1:/:::"), ASSIGN_RECORD);
    assert_memory_equal(key.s, "!joe\0", 5);
}

static void
mistakes_are_refused(void **state)
{
    static const char *const lines[] = {
        "",
        ":joe:1:1:/:::",
        "=joe",
        "=joe:joe:1:1:/::",
        "=joe::1:1:/:::",
        "=joe:joe:x:1:/:::",
        "=joe:joe:1::/:::",
        "=joe:joe:1:1::::",
        "=joe:joe:4294967295:1:/:::",
        "=joe:joe:-1:1:/:::",
        "# no comments",
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_int_equal(parse(lines[i]), ASSIGN_SYNTAX);
    const char *reason;
    assert_int_equal(
        assign_line_parse("=a\0:b:1:1:/:::", 14, &key, &data, &wild, &reason),
        ASSIGN_SYNTAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exact_line_is_a_key_with_nul),
        cmocka_unit_test(a_wildcard_line_is_a_key_without_nul_and_its_last_byte),
        cmocka_unit_test(the_empty_wildcard_has_no_last_byte),
        cmocka_unit_test(any_other_first_byte_means_exact),
        cmocka_unit_test(mistakes_are_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    stralloc_free(&key);
    stralloc_free(&data);
    return failed;
}
