#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "address_tokens.h"

/* types: the type letters of the tokens that text has */
static void
assert_tokens(const char *text, const char *types)
{
    genalloc tokens = GENALLOC_ZERO;
    assert_true(address_tokens_read(&tokens, text, strlen(text)));
    size_t count = genalloc_len(struct address_token, &tokens);
    assert_int_equal(count, strlen(types));
    for (size_t i = 0; i < count; i++)
        assert_int_equal(genalloc_s(struct address_token, &tokens)[i].type, types[i]);
    genalloc_free(struct address_token, &tokens);
}

static void
assert_unfinished(const char *text)
{
    genalloc tokens = GENALLOC_ZERO;
    errno = 0;
    assert_false(address_tokens_read(&tokens, text, strlen(text)));
    assert_int_equal(errno, EPROTO);
    genalloc_free(struct address_token, &tokens);
}

static void
assert_means(const char *text, const char *meaning)
{
    genalloc tokens = GENALLOC_ZERO;
    stralloc out = STRALLOC_ZERO;
    assert_true(address_tokens_read(&tokens, text, strlen(text)));
    assert_int_equal(genalloc_len(struct address_token, &tokens), 1);
    assert_true(
        address_token_append(&out, text, genalloc_s(struct address_token, &tokens)));
    stralloc_0(&out);
    assert_string_equal(out.s, meaning);
    stralloc_free(&out);
    genalloc_free(struct address_token, &tokens);
}

static void
cuts_text_into_words_and_signs(void **state)
{
    (void)state;
    assert_tokens("", "");
    assert_tokens(" \t\r\n", "");
    assert_tokens("Joe Q. <joe@x.y>, \"a b\"@[1.2];(c):", "aa.<a@a.a>,\"@[;(:");
}

static void
comments_nest_and_hide_signs(void **state)
{
    (void)state;
    assert_tokens("(a (b @<>\\)) \\( c)", "(");
    assert_tokens("a(b)c", "a(a");
}

static void
a_closing_sign_alone_is_part_of_a_word(void **state)
{
    (void)state;
    assert_tokens("a)b", "a");
    assert_tokens("a]", "a");
}

static void
what_has_no_end_is_refused(void **state)
{
    (void)state;
    assert_unfinished("(a");
    assert_unfinished("(a (b)");
    assert_unfinished("\"a");
    assert_unfinished("\"a\\\"");
    assert_unfinished("[1.2");
    assert_unfinished("ok, (a\\");
}

static void
a_backslash_at_the_end_is_a_word(void **state)
{
    (void)state;
    assert_tokens("a\\", "a");
}

static void
words_mean_their_text_without_quoting(void **state)
{
    (void)state;
    assert_means("abc", "abc");
    assert_means("a\\@b", "a@b");
    assert_means("\"a b\\\" c\"", "a b\" c");
    assert_means("\"a\r\n b\"", "a b");
    assert_means("\"\"", "");
    assert_means("[ 1.2 . 3\n ]", "[1.2.3]");
}

static void
source_text_comes_on_one_line(void **state)
{
    static const char text[] = "a\r\n b\rc\\\nd\\\\\ne\\\"\\";
    stralloc out = STRALLOC_ZERO;
    (void)state;
    assert_true(address_tokens_append_source(&out, text, 0, sizeof text - 1));
    assert_string_equal(out.s, "a b cd\\\\e\\\"\\");
    stralloc_free(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_text_into_words_and_signs),
        cmocka_unit_test(comments_nest_and_hide_signs),
        cmocka_unit_test(a_closing_sign_alone_is_part_of_a_word),
        cmocka_unit_test(what_has_no_end_is_refused),
        cmocka_unit_test(a_backslash_at_the_end_is_a_word),
        cmocka_unit_test(words_mean_their_text_without_quoting),
        cmocka_unit_test(source_text_comes_on_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
