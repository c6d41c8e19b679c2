#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mailbox.h"
#include "text.h"

static void
assert_mailbox(const char *local, const char *host, const char *shown, const char *raw)
{
    struct mailbox mailbox = {.has_at = host != NULL};
    stralloc out = STRALLOC_ZERO;
    text_copy(&mailbox.local, local);
    text_copy(&mailbox.host, host ? host : "");
    assert_int_equal(mailbox_is_empty(&mailbox), !*local && !host);
    assert_true(text_copy(&out, "") && mailbox_append(&out, &mailbox));
    assert_string_equal(out.s, shown);
    assert_true(text_copy(&out, "") && mailbox_append_raw(&out, &mailbox));
    assert_string_equal(out.s, raw);
    stralloc_free(&out);
    mailbox_free(&mailbox);
}

static void
is_shown_quoted_and_sent_raw(void **state)
{
    (void)state;
    assert_mailbox("joe", "x.y", "joe@x.y", "joe@x.y");
    assert_mailbox("joe smith", "x", "\"joe smith\"@x", "joe smith@x");
    assert_mailbox("joe", NULL, "joe", "joe");
    assert_mailbox("", NULL, "", "");
    assert_mailbox("a@b", NULL, "\"a@b\"", "a@b");
    assert_mailbox("", "x", "\"\"@x", "@x");
    assert_mailbox("a\"b", "[1.2]", "\"a\\\"b\"@[1.2]", "a\"b@[1.2]");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_shown_quoted_and_sent_raw),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
