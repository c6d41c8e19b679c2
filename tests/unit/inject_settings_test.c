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

#include "inject_settings.h"
#include "text.h"

static void
assert_argument(const char *argument, const char *address)
{
    struct inject_settings settings = {0};
    stralloc out = STRALLOC_ZERO;
    assert_true(inject_argument(&settings, &out, argument));
    assert_string_equal(out.s, address);
    stralloc_free(&out);
    for (int i = 0; i < INJECT_HOSTS; i++)
        stralloc_free(&settings.hosts[i]);
}

static void
set_hosts(const char *host, const char *domain, const char *plus)
{
    assert_int_equal(setenv("QMAILDEFAULTHOST", host, 1), 0);
    assert_int_equal(setenv("QMAILDEFAULTDOMAIN", domain, 1), 0);
    assert_int_equal(setenv("QMAILPLUSDOMAIN", plus, 1), 0);
}

static void
addresses_are_completed_step_by_step(void **state)
{
    (void)state;
    set_hosts("host", "domain", "plus.x");
    assert_argument("joe", "joe@host.domain");
    assert_argument("joe@", "joe@host.domain");
    assert_argument("joe@.", "joe@host.domain");
    assert_argument("joe@h", "joe@h.domain");
    assert_argument("joe@h.", "joe@h.domain");
    assert_argument("joe@h.x.", "joe@h.x");
    assert_argument("joe@h+", "joe@h.plus.x");
    assert_argument("joe@h.x+", "joe@h.x.plus.x");
    assert_argument("joe+", "joe+@host.domain");
    assert_argument("joe@[1.2]", "joe@[1.2]");
    assert_argument("#@[]", "#@[]");
    assert_argument("", "");
    set_hosts("host+", "domain", "plus");
    assert_argument("joe", "joe@host.plus");
    set_hosts("", "", "");
    assert_argument("joe", "joe");
    assert_argument("joe@h", "joe@h");
    assert_argument("joe@h+", "joe@h");
}

static void
what_cannot_be_an_address_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"a@b c", "a@<b>", "a@b,c",
                                        "a\nb",  "a@b\r", "a@\"b\""};
    struct inject_settings settings = {0};
    stralloc out = STRALLOC_ZERO;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        errno = 0;
        assert_false(inject_argument(&settings, &out, wrong[i]));
        assert_int_equal(errno, EINVAL);
    }
    stralloc_free(&out);
}

static void
without_control_files_the_literal_word_is_used(void **state)
{
    (void)state;
    struct inject_settings settings = {0};
    stralloc out = STRALLOC_ZERO;
    assert_int_equal(unsetenv("QMAILDEFAULTHOST"), 0);
    assert_int_equal(chdir("/proc/self/fdinfo"), 0);
    assert_true(inject_argument(&settings, &out, "joe"));
    assert_string_equal(out.s, "joe@defaulthost");
    stralloc_free(&out);
    for (int i = 0; i < INJECT_HOSTS; i++)
        stralloc_free(&settings.hosts[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_completed_step_by_step),
        cmocka_unit_test(what_cannot_be_an_address_is_refused),
        cmocka_unit_test(without_control_files_the_literal_word_is_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
