#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <skalibs/djbunix.h>
#include <skalibs/stralloc.h>

#include "address.h"
#include "text.h"

static void
assert_parsed(const char *text, const char *raw, const char *rest)
{
    stralloc got = STRALLOC_ZERO;
    const char *behind;
    assert_int_equal(address_parse_path(&got, text, &behind), ADDRESS_OK);
    assert_string_equal(got.s, raw);
    assert_string_equal(behind, rest);
    stralloc_free(&got);
}

static void
assert_refused(const char *text, enum address_status status)
{
    stralloc got = STRALLOC_ZERO;
    const char *behind;
    assert_int_equal(address_parse_path(&got, text, &behind), status);
    stralloc_free(&got);
}

static void
takes_paths_apart(void **state)
{
    (void)state;
    assert_parsed("<>", "", "");
    assert_parsed("<> SIZE=3", "", " SIZE=3");
    assert_parsed("<a@b.example>", "a@b.example", "");
    assert_parsed("<postmaster>", "postmaster", "");
    assert_parsed("<\"a b\\\"@c\"@d> X", "a b\"@c@d", " X");
    assert_parsed("<a@[192.0.2.1]>", "a@[192.0.2.1]", "");
    assert_parsed("<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]", "");
    assert_parsed("<\"\"@b>", "@b", "");
}

static void
is_as_lenient_as_qmail(void **state)
{
    (void)state;
    assert_parsed(" <a@b>", "a@b", "");
    assert_parsed("a@b SIZE=1", "a@b", " SIZE=1");
    assert_parsed(" a@b ", "a@b", " ");
    assert_parsed("<a..b.@c>", "a..b.@c", "");
    assert_parsed("<a@host_name>", "a@host_name", "");
    assert_parsed("<@x.example,@[192.0.2.1]:a@b>", "a@b", "");
}

static void
refuses_what_is_no_path(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "<",
        "<a@b",
        "<a@b>c",
        "a@b>",
        "<a b@c>",
        "<a@b@c>",
        "<a@>",
        "<@a>",
        "<@a:>",
        "<@a,b:c@d>",
        "<a@b.>",
        "<a@-b>",
        "<a@b-.c>",
        "<a@b..c>",
        "<a@[]>",
        "<-@[]>",
        "<#@[]>",
        "<a@[1.2.3]>",
        "<a@[IPv6:1]>",
        "<\"a@b>",
        "<\"a\\\">",
        "<a\\@b@c>",
        "<a@b\x01>",
        "<\"\x01\"@b>",
        "<a@[192.0.2.1>",
        "<(c)a@b>",
        "@2",
        "<\"\">",
        "<\"a@b\">",
        "\"a@b\".c",
        "<@a,@b",
        "<@a:b@c,@d:e@f>",
        "<<a@b>>",
        "@",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_refused(bad[i], ADDRESS_BAD);
    assert_refused("<\xc3\xa9@b>", ADDRESS_NOT_ASCII);
    assert_refused("<a@\xc3\xa9>", ADDRESS_NOT_ASCII);
    assert_refused("<\"\xc3\xa9\"@b>", ADDRESS_NOT_ASCII);
}

static void
takes_900_bytes_and_no_more(void **state)
{
    char path[ADDRESS_MAX + 8];
    (void)state;
    memset(path, 'a', sizeof path);
    memcpy(path, "<", 1);
    memcpy(path + ADDRESS_MAX - 1, "@b>", 4);
    assert_int_equal(strlen(path), ADDRESS_MAX + 2);
    stralloc got = STRALLOC_ZERO;
    const char *rest;
    assert_int_equal(address_parse_path(&got, path, &rest), ADDRESS_OK);
    stralloc_free(&got);
    memcpy(path + ADDRESS_MAX, "@b>", 4);
    path[ADDRESS_MAX - 1] = 'a';
    assert_refused(path, ADDRESS_TOO_LONG);
}

static void
splits_at_the_last_at_sign(void **state)
{
    (void)state;
    assert_string_equal(address_domain("a@b@c"), "c");
    assert_string_equal(address_domain("a@"), "");
    assert_null(address_domain("a"));
    assert_null(address_domain(""));
}

static void
assert_quoted(const char *raw, const char *expected)
{
    stralloc got = STRALLOC_ZERO;
    assert_true(address_append_quoted(&got, raw));
    assert_string_equal(got.s, expected);
    stralloc_free(&got);
}

static void
quotes_the_local_part_where_needed(void **state)
{
    (void)state;
    assert_quoted("", "");
    assert_quoted("a@b", "a@b");
    assert_quoted("a", "a");
    assert_quoted("a.b+c=d@e", "a.b+c=d@e");
    assert_quoted("a b@c", "\"a b\"@c");
    assert_quoted("a\"\\b@c", "\"a\\\"\\\\b\"@c");
    assert_quoted("a..b@c", "\"a..b\"@c");
    assert_quoted(".a@c", "\".a\"@c");
    assert_quoted("a.@c", "\"a.\"@c");
    assert_quoted("@c", "\"\"@c");
    assert_quoted("a@b@c", "\"a@b\"@c");
    assert_quoted("list-@host-@[]", "\"list-@host-\"@[]");
}

static void
prints_nothing_dangerous(void **state)
{
    (void)state;
    assert_quoted("a\r\nRCPT TO:<x>@c", "\"a??RCPT TO:<x>\"@c");
    assert_quoted("a@c>\r\nDATA", "a@c???DATA");
}

/* The vectors of isemail: tests.xml. */

/* Text of <tag> from at on; entities resolved; U+24xx stands for the control byte xx. */
static bool
element(const char *at, const char *tag, char *out, size_t size)
{
    char open[32];
    size_t len = 0;
    snprintf(open, sizeof open, "<%s>", tag);
    const char *p = strstr(at, open);
    if (!p)
        return false;
    for (p += strlen(open); *p != '<' && len + 1 < size; p++) {
        char c = *p;
        if (c == '&' && strncmp(p, "&amp;", 5) == 0)
            p += 4;
        else if (c == '&' && p[1] == '#') {
            char *end;
            unsigned long code = strtoul(p + 3, &end, 16);
            assert_int_equal(*end, ';');
            c = code >= 0x2400 ? (char)(code - 0x2400) : (char)code;
            p = end;
        } else
            assert_int_not_equal(c, '&');
        out[len++] = c;
    }
    out[len] = '\0';
    return true;
}

/* Errors of isemail that are no errors here: see is_as_lenient_as_qmail. */
static bool
is_lenience(const char *diagnosis)
{
    static const char *const names[] = {
        "ISEMAIL_ERR_NODOMAIN",
        "ISEMAIL_ERR_DOT_START",
        "ISEMAIL_ERR_DOT_END",
        "ISEMAIL_ERR_CONSECUTIVEDOTS",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(diagnosis, names[i]) == 0)
            return true;
    return false;
}

static void
check_vector(const char *address, const char *category, const char *diagnosis)
{
    stralloc path = STRALLOC_ZERO, raw = STRALLOC_ZERO, again = STRALLOC_ZERO;
    const char *rest;

    assert_true(text_copy(&path, "<") && text_append(&path, address) &&
                text_append(&path, ">"));
    enum address_status status = address_parse_path(&raw, path.s, &rest);
    if (strcmp(category, "ISEMAIL_VALID_CATEGORY") == 0 ||
        strcmp(category, "ISEMAIL_DNSWARN") == 0 ||
        strcmp(category, "ISEMAIL_RFC5321") == 0)
        assert_int_equal(status, ADDRESS_OK);
    if (strcmp(category, "ISEMAIL_ERR") == 0 && *address && !is_lenience(diagnosis))
        assert_int_not_equal(status, ADDRESS_OK);
    if (status == ADDRESS_OK) { /* whatever was accepted survives being sent on */
        assert_true(text_copy(&path, "<") && address_append_quoted(&path, raw.s) &&
                    text_append(&path, ">"));
        assert_int_equal(address_parse_path(&again, path.s, &rest), ADDRESS_OK);
        assert_string_equal(again.s, raw.s);
    }
    stralloc_free(&path);
    stralloc_free(&raw);
    stralloc_free(&again);
}

static void
agrees_with_the_isemail_vectors(void **state)
{
    stralloc file = STRALLOC_ZERO;
    char address[512], category[64], diagnosis[64];
    unsigned int count = 0;
    (void)state;

    assert_true(openslurpclose(&file, "tests/data/address/tests.xml"));
    assert_true(stralloc_0(&file));
    for (char *at = strstr(file.s, "<test id"); at; count++) {
        char *end = strstr(at, "</test>");
        assert_non_null(end);
        *end = '\0';
        if (element(at, "address", address, sizeof address)) {
            assert_true(element(at, "category", category, sizeof category));
            assert_true(element(at, "diagnosis", diagnosis, sizeof diagnosis));
            check_vector(address, category, diagnosis);
        }
        at = strstr(end + 1, "<test id");
    }
    assert_int_equal(count, 164);
    stralloc_free(&file);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_paths_apart),
        cmocka_unit_test(is_as_lenient_as_qmail),
        cmocka_unit_test(refuses_what_is_no_path),
        cmocka_unit_test(takes_900_bytes_and_no_more),
        cmocka_unit_test(splits_at_the_last_at_sign),
        cmocka_unit_test(quotes_the_local_part_where_needed),
        cmocka_unit_test(prints_nothing_dangerous),
        cmocka_unit_test(agrees_with_the_isemail_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
