#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <unistd.h>

#include <sys/mman.h>

#include "inject_input.h"

/* Begin to read a message of head, then count times byte, then tail. */
static void
begin(struct inject_input *input, const char *head, size_t count, char byte,
      const char *tail)
{
    size_t len = strlen(head) + count + strlen(tail);
    char *text = malloc(len + 1);
    memset(input, 0, sizeof *input);
    assert_non_null(text);
    memcpy(text, head, strlen(head));
    memset(text + strlen(head), byte, count);
    memcpy(text + strlen(head) + count, tail, strlen(tail));
    input->fd = memfd_create("input", 0);
    assert_int_equal(write(input->fd, text, len), len);
    assert_int_equal(lseek(input->fd, 0, SEEK_SET), 0);
    free(text);
}

/* Read the body to its end. returns its length; last gets its last two bytes */
static size_t
drain(struct inject_input *input, char last[3])
{
    size_t total = 0;
    const char *bytes;
    size_t len;
    memset(last, 0, 3);
    do {
        assert_true(inject_input_body(input, &bytes, &len));
        for (size_t i = 0; i < len; i++) {
            last[0] = last[1];
            last[1] = bytes[i];
        }
        total += len;
    } while (len);
    close(input->fd);
    stralloc_free(&input->data);
    return total;
}

static void
pairs_of_cr_and_lf_are_found_across_reads(void **state)
{
    (void)state;
    struct inject_input input;
    char last[3];
    for (size_t count = 65520; count < 65540; count++) {
        begin(&input, "A: b\r\n\r\n", count, 'x', "\r\ny\r\n");
        assert_true(inject_input_header(&input));
        assert_int_equal(input.header_len, 5);
        assert_memory_equal(input.data.s, "A: b\n", 5);
        assert_int_equal(drain(&input, last), count + 3);
        assert_string_equal(last, "y\n");
    }
}

static void
a_first_line_that_ends_across_reads_decides_too(void **state)
{
    (void)state;
    struct inject_input input;
    char last[3];
    for (size_t count = 65525; count < 65540; count++) {
        begin(&input, "A: ", count, 'x', "\r\nB: c\r\n\r\nbody\r");
        assert_true(inject_input_header(&input));
        assert_int_equal(input.header_len, count + 4 + 5);
        assert_int_equal(drain(&input, last), 6);
        assert_string_equal(last, "\r\n");
    }
}

static void
the_header_has_a_limit_and_the_body_has_none(void **state)
{
    (void)state;
    struct inject_input input;
    char last[3];
    begin(&input, "A: ", INJECT_HEADER_MAX, 'x', "\n\n");
    assert_false(inject_input_header(&input));
    assert_int_equal(errno, EMSGSIZE);
    drain(&input, last);
    begin(&input, "A: b\n", INJECT_HEADER_MAX, 'x', "");
    assert_true(inject_input_header(&input));
    assert_int_equal(input.header_len, 5);
    assert_int_equal(drain(&input, last), INJECT_HEADER_MAX + 1);
    assert_string_equal(last, "x\n");
}

static void
an_input_that_cannot_be_read_is_an_error(void **state)
{
    (void)state;
    struct inject_input input = {.fd = -1};
    assert_false(inject_input_header(&input));
    assert_int_equal(errno, EBADF);
    stralloc_free(&input.data);
}

static void
nothing_is_no_header_and_no_body(void **state)
{
    (void)state;
    struct inject_input input;
    char last[3];
    begin(&input, "", 0, 'x', "");
    assert_true(inject_input_header(&input));
    assert_int_equal(input.header_len, 0);
    assert_false(input.has_body);
    assert_int_equal(drain(&input, last), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_of_cr_and_lf_are_found_across_reads),
        cmocka_unit_test(a_first_line_that_ends_across_reads_decides_too),
        cmocka_unit_test(the_header_has_a_limit_and_the_body_has_none),
        cmocka_unit_test(an_input_that_cannot_be_read_is_an_error),
        cmocka_unit_test(nothing_is_no_header_and_no_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
