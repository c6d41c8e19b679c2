#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <skalibs/stralloc.h>

#include "address_list.h"
#include "text.h"

/* Write each address as "local|host" ("local" without '@'), in order of the visits. */
static bool
note(void *context, struct mailbox *mailbox)
{
    stralloc *seen = context;
    return text_append(seen, "{") && text_append(seen, mailbox->local.s) &&
           (!mailbox->has_at ||
            (text_append(seen, "|") && text_append(seen, mailbox->host.s))) &&
           text_append(seen, "}");
}

static void
assert_list(const char *text, const char *rewritten, const char *addresses)
{
    stralloc out = STRALLOC_ZERO;
    stralloc seen = STRALLOC_ZERO;
    struct address_visitor visitor = {note, &seen};
    text_copy(&seen, "");
    text_copy(&out, "");
    enum address_list_status status =
        address_list_rewrite(&out, text, strlen(text), &visitor);
    assert_int_equal(status, rewritten ? ADDRESS_LIST_OK : ADDRESS_LIST_SYNTAX);
    assert_string_equal(seen.s, addresses);
    if (rewritten)
        assert_string_equal(out.s, rewritten);
    else
        assert_int_equal(out.len, 0);
    stralloc_free(&out);
    stralloc_free(&seen);
}

static void
addresses_are_seen_from_right_to_left(void **state)
{
    (void)state;
    assert_list("a@b, c@d,e", "a@b, c@d, e", "{e}{c|d}{a|b}");
}

static void
an_empty_list_is_a_list(void **state)
{
    (void)state;
    assert_list("", "", "");
    assert_list(" ,, \n ,", "", "");
    assert_list(",a@b,,c@d,", "a@b, c@d", "{c|d}{a|b}");
}

static void
missing_commas_are_put_in(void **state)
{
    (void)state;
    assert_list("a@b c@d", "a@b, c@d", "{c|d}{a|b}");
    assert_list("a b", "a, b", "{b}{a}");
    assert_list("<a@b> <c@d>", "<a@b>, <c@d>", "{c|d}{a|b}");
    assert_list("a@b <c@d>", "a@b <c@d>", "{c|d}"); /* a name with an '@' */
    assert_list("<a@b> c@d", "<a@b>, c@d", "{c|d}{a|b}");
}

static void
names_stay_as_they_are(void **state)
{
    (void)state;
    assert_list("Joe  Q. Public <a@b>", "Joe  Q. Public <a@b>", "{a|b}");
    assert_list("\"Joe, \\\"Q\\\"\" <a@b>", "\"Joe, \\\"Q\\\"\" <a@b>", "{a|b}");
    assert_list("=?utf-8?Q?[x]_J=C3=B6?= <a@b>", "=?utf-8?Q?[x]_J=C3=B6?= <a@b>",
                "{a|b}");
    assert_list("Joe\n  Public<a@b>", "Joe  Public <a@b>", "{a|b}");
    assert_list("J\xc3\xb6 <a@b>", "J\xc3\xb6 <a@b>", "{a|b}");
}

static void
comments_stay_with_their_address(void **state)
{
    (void)state;
    assert_list("a@b (Joe)", "a@b (Joe)", "{a|b}");
    assert_list("(x) a@b", "(x) a@b", "{a|b}");
    assert_list("a(1)@(2)b(3), c@d (4)", "a@b (1) (2) (3), c@d (4)", "{c|d}{a|b}");
    assert_list("a@b (A) c@d (C)", "a@b (A), c@d (C)", "{c|d}{a|b}");
    assert_list("<a@b> (A) (B) Joe <c@d> (C)", "<a@b> (A) (B), Joe <c@d> (C)",
                "{c|d}{a|b}");
    assert_list("<a (x)@b>", "<a@b> (x)", "{a|b}");
    assert_list("(only)", "(only)", "");
    assert_list("a@b, (only), c@d", "a@b (only), c@d", "{c|d}{a|b}");
}

static void
groups_keep_their_form(void **state)
{
    (void)state;
    assert_list("g: a@b, c@d;", "g: a@b, c@d;", "{c|d}{a|b}");
    assert_list("none shown: ;", "none shown: ;", "");
    assert_list("g:;, a@b", "g: ;, a@b", "{a|b}");
    assert_list("a@b, g (x): (y) c; (z), d", "a@b, g (x): (y) c; (z), d", "{d}{c}{a|b}");
    assert_list("a@b, g:; h: c;", "a@b, g: ;, h: c;", "{c}{a|b}");
}

static void
source_routes_are_taken_out(void **state)
{
    (void)state;
    assert_list("<@a,@b:u@c>", "<u@c>", "{u|c}");
    assert_list("Joe <@a : u@c>", "Joe <u@c>", "{u|c}");
    assert_list("<@a>", "<>", "{}");
}

static void
empty_addresses_are_shown_as_brackets(void **state)
{
    (void)state;
    assert_list("<>", "<>", "{}");
    assert_list("@", "<>", "{}");
    assert_list("Joe <(nobody)>", "Joe <> (nobody)", "{}");
}

static void
quoting_is_understood_and_made_anew(void **state)
{
    (void)state;
    assert_list("\"joe\"@x", "joe@x", "{joe|x}");
    assert_list("\"joe smith\"@x", "\"joe smith\"@x", "{joe smith|x}");
    assert_list("joe\\,smith@x", "\"joe,smith\"@x", "{joe,smith|x}");
    assert_list("\"a\\\"b\"@x", "\"a\\\"b\"@x", "{a\"b|x}");
    assert_list("\"a@b\"@x", "\"a@b\"@x", "{a@b|x}");
    assert_list("<joe smith@x>", "<\"joe smith\"@x>", "{joe smith|x}");
    assert_list("a..b.@x", "\"a..b.\"@x", "{a..b.|x}");
    assert_list("\"\"@x", "\"\"@x", "{|x}");
}

static void
blanks_around_dots_and_at_disappear(void **state)
{
    (void)state;
    assert_list("joe . smith @ x . y", "joe.smith@x.y", "{joe.smith|x.y}");
    assert_list("joe\n @\n x", "joe@x", "{joe|x}");
    assert_list("a@[1.2. 3.4]", "a@[1.2.3.4]", "{a|[1.2.3.4]}");
}

static void
the_last_at_sign_divides(void **state)
{
    (void)state;
    assert_list("a@b@c", "\"a@b\"@c", "{a@b|c}");
    assert_list("joe@", "joe", "{joe}");
    assert_list("joe@@", "joe", "{joe}");
}

static void
a_stray_closing_parenthesis_is_legal(void **state)
{
    (void)state;
    assert_list("a)@b", "\"a)\"@b", "{a)|b}");
    assert_list("c, a)", "c, \"a)\"", "{a)}{c}");
}

static void
what_stands_right_of_a_mistake_is_seen(void **state)
{
    (void)state;
    assert_list("a@b, <c@d, e@f", NULL, "{e|f}{c|d}");
    assert_list("a, b>, c", NULL, "{c}");
    assert_list("a; b, c", NULL, "{c}{b}{a}");
    assert_list("a: b, c", NULL, "{c}{b}");
    assert_list("a, (b", NULL, "");
    assert_list("a, <b <c>>, d", NULL, "{d}");
    assert_list("<a;b>, d", NULL, "{d}");
    assert_list("<a,b>, d", NULL, "{d}");
    assert_list("<a@b c>, d", NULL, "{d}");
    assert_list("a@\"b\", d", NULL, "{d}");
    assert_list("g: h: a;;", NULL, "");
    assert_list("a@[b@c], d", NULL, "{d}");
    assert_list("a@b\\@c, d", NULL, "{d}");
    assert_list("a@b\\:, d", NULL, "{d}");
    assert_list("a@[b].c, d", NULL, "{d}");
    assert_list("a@[IPv6:1::2], d", "a@[IPv6:1::2], d", "{d}{a|[IPv6:1::2]}");
    assert_list("a@[], d", "a@[], d", "{d}{a|[]}");
}

static void
a_nul_byte_is_a_mistake(void **state)
{
    (void)state;
    stralloc out = STRALLOC_ZERO;
    stralloc seen = STRALLOC_ZERO;
    struct address_visitor visitor = {note, &seen};
    assert_int_equal(address_list_rewrite(&out, "a\0b@c", 6, &visitor),
                     ADDRESS_LIST_SYNTAX);
    assert_int_equal(seen.len, 0);
    stralloc_free(&out);
    stralloc_free(&seen);
}

static void
long_lists_are_folded(void **state)
{
    (void)state;
    stralloc out = STRALLOC_ZERO;
    stralloc text = STRALLOC_ZERO;
    stralloc seen = STRALLOC_ZERO;
    struct address_visitor visitor = {note, &seen};
    text_copy(&out, "To:");
    for (int i = 0; i < 50; i++)
        text_append(&text, "somebody@example.org,");
    assert_int_equal(address_list_rewrite(&out, text.s, text.len, &visitor),
                     ADDRESS_LIST_OK);
    size_t longest = 0;
    for (const char *line = out.s; *line; line += *line == '\n') {
        size_t len = strcspn(line, "\n");
        longest = len > longest ? len : longest;
        line += len;
    }
    assert_true(longest <= 72 && longest > 60);
    assert_memory_equal(out.s, "To: somebody@example.org, somebody@example.org,", 47);
    assert_non_null(strstr(out.s, "\n  somebody"));
    stralloc_free(&out);
    stralloc_free(&text);
    stralloc_free(&seen);
}

static bool
change(void *context, struct mailbox *mailbox)
{
    (void)context;
    mailbox->has_at = true;
    return text_copy(&mailbox->host, "new.host");
}

static bool
stop(void *context, struct mailbox *mailbox)
{
    (void)context;
    (void)mailbox;
    return false;
}

static void
the_visitor_changes_addresses_and_can_stop(void **state)
{
    (void)state;
    stralloc out = STRALLOC_ZERO;
    struct address_visitor changes = {change, NULL};
    struct address_visitor stops = {stop, NULL};
    assert_int_equal(address_list_rewrite(&out, "Joe <joe>, a@b", 14, &changes),
                     ADDRESS_LIST_OK);
    assert_string_equal(out.s, "Joe <joe@new.host>, a@new.host");
    assert_int_equal(address_list_rewrite(&out, "a", 1, &stops), ADDRESS_LIST_STOPPED);
    stralloc_free(&out);
}

static void
deep_nesting_costs_no_stack(void **state)
{
    (void)state;
    size_t depth = 1000000;
    char *text = malloc(2 * depth);
    stralloc out = STRALLOC_ZERO;
    stralloc seen = STRALLOC_ZERO;
    struct address_visitor visitor = {note, &seen};
    assert_non_null(text);
    memset(text, '(', depth);
    memset(text + depth, ')', depth);
    assert_int_equal(address_list_rewrite(&out, text, 2 * depth, &visitor),
                     ADDRESS_LIST_OK);
    assert_int_equal(out.len, 2 * depth);
    free(text);
    stralloc_free(&out);
    stralloc_free(&seen);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_seen_from_right_to_left),
        cmocka_unit_test(an_empty_list_is_a_list),
        cmocka_unit_test(missing_commas_are_put_in),
        cmocka_unit_test(names_stay_as_they_are),
        cmocka_unit_test(comments_stay_with_their_address),
        cmocka_unit_test(groups_keep_their_form),
        cmocka_unit_test(source_routes_are_taken_out),
        cmocka_unit_test(empty_addresses_are_shown_as_brackets),
        cmocka_unit_test(quoting_is_understood_and_made_anew),
        cmocka_unit_test(blanks_around_dots_and_at_disappear),
        cmocka_unit_test(the_last_at_sign_divides),
        cmocka_unit_test(a_stray_closing_parenthesis_is_legal),
        cmocka_unit_test(what_stands_right_of_a_mistake_is_seen),
        cmocka_unit_test(a_nul_byte_is_a_mistake),
        cmocka_unit_test(long_lists_are_folded),
        cmocka_unit_test(the_visitor_changes_addresses_and_can_stop),
        cmocka_unit_test(deep_nesting_costs_no_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
