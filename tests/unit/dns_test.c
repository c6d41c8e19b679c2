#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dns.h"

/* Real answers are tested end to end, with a name server: tests/e2e/test_remote.py. */

static void
a_name_that_cannot_exist_is_not_asked_for(void **state)
{
    (void)state;
    struct dns_answer answer = {.count = 7};
    struct dns *dns = dns_open();
    assert_non_null(dns);
    assert_int_equal(dns_query(dns, &answer, "double..dot.example", DNS_TYPE_MX),
                     DNS_NO_NAME);
    assert_int_equal(dns_query(dns, &answer, "", DNS_TYPE_A), DNS_NO_NAME);
    assert_int_equal(answer.count, 0);
    dns_answer_free(&answer);
    dns_close(dns);
}

static void
after_the_limit_every_query_fails_at_once(void **state)
{
    (void)state;
    struct dns_answer answer = {.count = 0};
    struct dns *dns = dns_open();
    assert_non_null(dns);
    dns_set_limit(dns, 0);
    assert_int_equal(dns_query(dns, &answer, "host.example", DNS_TYPE_A), DNS_TEMPORARY);
    dns_answer_free(&answer);
    dns_close(dns);
    dns_close(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_that_cannot_exist_is_not_asked_for),
        cmocka_unit_test(after_the_limit_every_query_fails_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
