#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "smtp_decode.h"

/* Decode text given in pieces of piece bytes, as a slow network brings it.
 * returns whether the end was found; *rest: bytes of text behind it; decoded: what
 * came out, with '\0' */
static bool
decode_in_pieces(struct smtp_decode *decode, const char *text, size_t len, size_t piece,
                 char *decoded, size_t *decoded_len, size_t *rest)
{
    char *window = malloc(len + 1);
    size_t held = 0, given = 0;
    bool is_end = false;

    assert_non_null(window);
    smtp_decode_start(decode);
    *decoded_len = 0;
    while (!is_end && given < len) {
        size_t used, out_len, take = piece < len - given ? piece : len - given;
        memcpy(window + held, text + given, take);
        held += take;
        given += take;
        is_end = smtp_decode_block(decode, window, held, &used, &out_len);
        assert_true(used <= held);
        assert_true(out_len <= used);
        assert_true(is_end || held - used <= 2);
        memcpy(decoded + *decoded_len, window, out_len);
        *decoded_len += out_len;
        held -= used;
        memmove(window, window + used, held);
    }
    *rest = held + (len - given);
    decoded[*decoded_len] = '\0';
    free(window);
    return is_end;
}

/* Whatever the pieces, the result is the same. */
static void
assert_decoded(const char *text, const char *expected, const char *behind)
{
    struct smtp_decode decode;
    char *decoded = malloc(strlen(text) + 1);
    size_t rest, decoded_len;

    assert_non_null(decoded);
    for (size_t piece = 1; piece <= strlen(text); piece++) {
        bool is_end = decode_in_pieces(&decode, text, strlen(text), piece, decoded,
                                       &decoded_len, &rest);
        assert_int_equal(is_end, behind != NULL);
        assert_string_equal(decoded, expected);
        assert_false(decode.has_bare);
        if (behind)
            assert_string_equal(text + strlen(text) - rest, behind);
    }
    free(decoded);
}

static void
turns_crlf_into_lf_and_takes_dots_away(void **state)
{
    (void)state;
    assert_decoded("a\r\nb\r\n.\r\n", "a\nb\n", "");
    assert_decoded("..\r\n...x\r\n.y\r\n.\r\n", ".\n..x\ny\n", "");
    assert_decoded(".\r\n", "", "");
    assert_decoded("\r\n.\r\n", "\n", "");
    assert_decoded("a\r\n\r\n..\r\n\r\n.\r\n", "a\n\n.\n\n", "");
    assert_decoded("a.\r\nb.c\r\n.\r\n", "a.\nb.c\n", "");
}

static void
leaves_what_follows_the_end_alone(void **state)
{
    (void)state;
    assert_decoded("a\r\n.\r\nQUIT\r\n", "a\n", "QUIT\r\n");
    assert_decoded(".\r\n.\r\n", "", ".\r\n");
}

static void
waits_for_the_end(void **state)
{
    (void)state;
    assert_decoded("a\r\n.", "a\n", NULL);
    assert_decoded("a\r\n.\r", "a\n", NULL);
    assert_decoded("a\r", "a", NULL);
    assert_decoded("a", "a", NULL);
}

/* Every text here has one line end too little or too much; only the last one is real. */
static void
sees_every_bare_cr_and_lf(void **state)
{
    static const char *const texts[] = {
        "a\n.\n",       "a\n.\r\n",     "a\r\n.\n",     "a\r.\r",     "a\r.\r\n",
        "a\r\n.\r",     "\n",           "\r",           "\n.\n",      "a\n\r\n",
        "a\r\r\n",      "\r\n\n",       "\r\n\r\r\n",   "a\n\r.\r\n", "a\r\n.\rb",
        "a\r\n.\nMAIL", "a\r\n.\r\r\n", "a\r\n.\n\r\n", "\r\n..\n",   "a\n.\r\nRCPT\r\n",
        "x\r\n.\r\0\n", ".\rMAIL",      ".\n",          "a\rb",
    };
    struct smtp_decode decode;
    char text[64], decoded[64];
    size_t rest, decoded_len;
    (void)state;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        strcpy(text, texts[i]);
        strcat(text, "\r\nz\r\n.\r\nQUIT\r\n");
        for (size_t piece = 1; piece <= strlen(text); piece++) {
            assert_true(decode_in_pieces(&decode, text, strlen(text), piece, decoded,
                                         &decoded_len, &rest));
            assert_true(decode.has_bare);
            assert_int_equal(rest, 6);
        }
    }
}

static void
passes_nul_bytes_and_long_lines(void **state)
{
    enum { LEN = 100000 };
    struct smtp_decode decode;
    char *text = malloc(LEN + 5), *decoded = malloc(LEN + 6);
    size_t rest, decoded_len;
    (void)state;

    assert_non_null(text);
    assert_non_null(decoded);
    memset(text, 'x', LEN);
    text[7] = '\0';
    memcpy(text + LEN, "\r\n.\r\n", 5);
    assert_true(
        decode_in_pieces(&decode, text, LEN + 5, 777, decoded, &decoded_len, &rest));
    assert_int_equal(decoded_len, LEN + 1);
    assert_memory_equal(decoded, text, LEN);
    assert_false(decode.has_bare);
    free(text);
    free(decoded);
}

static unsigned int
hops_of(const char *text, size_t piece)
{
    struct smtp_decode decode;
    char decoded[512];
    size_t rest, decoded_len;
    decode_in_pieces(&decode, text, strlen(text), piece, decoded, &decoded_len, &rest);
    return decode.hops;
}

static void
counts_trace_fields_of_the_header_only(void **state)
{
    static const char text[] = "Received: a\r\nRECEIVED: b\r\nDelivered-To: c\r\n"
                               "X-Received: d\r\n Received: e\r\nReceive: f\r\n"
                               "delivered-to:g\r\n\r\nReceived: h\r\n.\r\n";
    (void)state;
    for (size_t piece = 1; piece <= sizeof text; piece++)
        assert_int_equal(hops_of(text, piece), 4);
    assert_int_equal(hops_of("\r\nReceived: a\r\n.\r\n", 99), 0);
    assert_int_equal(hops_of("Received:\r\n.\r\n", 99), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns_crlf_into_lf_and_takes_dots_away),
        cmocka_unit_test(leaves_what_follows_the_end_alone),
        cmocka_unit_test(waits_for_the_end),
        cmocka_unit_test(sees_every_bare_cr_and_lf),
        cmocka_unit_test(passes_nul_bytes_and_long_lines),
        cmocka_unit_test(counts_trace_fields_of_the_header_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
