#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <skalibs/stralloc.h>

#include "wire.h"

/* Encode with this room for each piece. */
static void
encode(stralloc *out, const char *message, size_t len, size_t room)
{
    struct wire wire;
    char *piece = malloc(room), *copy = malloc(len ? len : 1);
    size_t used;

    assert_non_null(piece);
    assert_non_null(copy);
    memcpy(copy, message, len); /* its end is known to ASan */
    wire_init(&wire, copy, len);
    out->len = 0;
    while ((used = wire_encode(&wire, piece, room)))
        assert_true(stralloc_catb(out, piece, used));
    assert_int_equal(wire.left, 0);
    free(piece);
    free(copy);
}

static void
expect(const char *message, const char *expected)
{
    stralloc out = STRALLOC_ZERO;
    encode(&out, message, strlen(message), 4096);
    assert_true(stralloc_0(&out));
    assert_string_equal(out.s, expected);
    stralloc_free(&out);
}

static void
line_ends_become_crlf(void **state)
{
    (void)state;
    expect("a\nb\n\n", "a\r\nb\r\n\r\n");
    expect("", "");
    expect("\n", "\r\n");
}

static void
a_last_line_without_end_gets_one(void **state)
{
    (void)state;
    expect("a", "a\r\n");
    expect("a\n.", "a\r\n..\r\n");
}

static void
leading_dots_are_doubled(void **state)
{
    (void)state;
    expect(".\n..\na.\n.b\n", "..\r\n...\r\na.\r\n..b\r\n");
}

static void
cr_before_lf_is_part_of_the_line_end(void **state)
{
    (void)state;
    expect("a\r\n.\r\n\r\n", "a\r\n..\r\n\r\n");
}

static void
any_other_cr_becomes_a_blank(void **state)
{
    (void)state;
    expect("a\rb\n", "a b\r\n");
    expect("\r.\r\n", " .\r\n");
    expect("a\r\r\n", "a \r\n");
    expect("a\r", "a \r\n");
}

/* A plain encoder, byte by byte, as the measure for the fast one. */
static void
encode_slowly(stralloc *out, const char *message, size_t len)
{
    bool start = true;
    out->len = 0;
    for (size_t i = 0; i < len; i++) {
        if (start && message[i] == '.')
            assert_true(stralloc_append(out, '.'));
        start = false;
        if (message[i] == '\r' && i + 1 < len && message[i + 1] == '\n')
            i++;
        if (message[i] == '\n') {
            assert_true(stralloc_catb(out, "\r\n", 2));
            start = true;
        } else {
            assert_true(stralloc_append(out, message[i] == '\r' ? ' ' : message[i]));
        }
    }
    if (!start)
        assert_true(stralloc_catb(out, "\r\n", 2));
}

static void
pieces_of_any_size_give_the_same_bytes(void **state)
{
    (void)state;
    stralloc fast = STRALLOC_ZERO, slow = STRALLOC_ZERO;
    static const char alphabet[] = "\r\n..ab";
    char message[300];
    unsigned int seed = 12345;

    for (unsigned int round = 0; round < 3000; round++) {
        size_t len = round % sizeof message;
        for (size_t i = 0; i < len; i++) {
            seed = seed * 1103515245U + 12345U;
            /* every second message has long lines, so that pieces end inside them */
            unsigned int pick = (seed >> 16) % (round % 2 ? 60 : 6);
            message[i] = alphabet[pick < 6 ? pick : 5];
        }
        encode_slowly(&slow, message, len);
        encode(&fast, message, len, WIRE_ROOM_MIN + round % 90);
        assert_int_equal(fast.len, slow.len);
        assert_true(!slow.len || memcmp(fast.s, slow.s, slow.len) == 0);
    }
    stralloc_free(&fast);
    stralloc_free(&slow);
}

static void
the_measure_is_the_size_on_the_wire(void **state)
{
    (void)state;
    assert_int_equal(wire_measure("a\nb\n", 4).bytes, 6);
    assert_int_equal(wire_measure("a\nb", 3).bytes, 6);
    assert_int_equal(wire_measure("", 0).bytes, 0);
    assert_false(wire_measure("plain text", 10).has_8bit);
    assert_true(wire_measure("high \xc3\xa4", 7).has_8bit);
    assert_true(wire_measure("0123456789abcde\xff", 16).has_8bit);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_ends_become_crlf),
        cmocka_unit_test(a_last_line_without_end_gets_one),
        cmocka_unit_test(leading_dots_are_doubled),
        cmocka_unit_test(cr_before_lf_is_part_of_the_line_end),
        cmocka_unit_test(any_other_cr_becomes_a_blank),
        cmocka_unit_test(pieces_of_any_size_give_the_same_bytes),
        cmocka_unit_test(the_measure_is_the_size_on_the_wire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
