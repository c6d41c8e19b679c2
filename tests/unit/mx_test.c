#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>

#include "mx.h"

/* A small world of names. */
struct fact {
    const char *name;
    uint16_t type;
    uint16_t preference;
    const char *value; /* an address, an exchanger; "NXDOMAIN" or "SERVFAIL" */
};

static const struct fact world[] = {
    {"two.example", DNS_TYPE_MX, 20, "b.example"},
    {"two.example", DNS_TYPE_MX, 10, "a.example"},
    {"a.example", DNS_TYPE_AAAA, 0, "2001:db8::1"},
    {"a.example", DNS_TYPE_A, 0, "192.0.2.1"},
    {"b.example", DNS_TYPE_A, 0, "192.0.2.2"},
    {"c.example", DNS_TYPE_A, 0, "192.0.2.3"},
    {"equal.example", DNS_TYPE_MX, 10, "a.example"},
    {"equal.example", DNS_TYPE_MX, 10, "b.example"},
    {"equal.example", DNS_TYPE_MX, 10, "c.example"},
    {"none.example", DNS_TYPE_MX, 0, ""},
    {"gone.example", DNS_TYPE_MX, 0, "NXDOMAIN"},
    {"gone.example", DNS_TYPE_A, 0, "NXDOMAIN"},
    {"gone.example", DNS_TYPE_AAAA, 0, "NXDOMAIN"},
    {"skip.example", DNS_TYPE_MX, 1, "gone.example"},
    {"skip.example", DNS_TYPE_MX, 2, "b.example"},
    {"sick.example", DNS_TYPE_MX, 0, "SERVFAIL"},
    {"sick.example", DNS_TYPE_A, 0, "SERVFAIL"},
    {"sick.example", DNS_TYPE_AAAA, 0, "SERVFAIL"},
    {"half.example", DNS_TYPE_MX, 1, "sick.example"},
    {"half.example", DNS_TYPE_MX, 2, "b.example"},
    {"onlysick.example", DNS_TYPE_MX, 1, "sick.example"},
    {"us.example", DNS_TYPE_A, 0, "192.0.2.99"},
    {"backup.example", DNS_TYPE_MX, 10, "a.example"},
    {"backup.example", DNS_TYPE_MX, 20, "b.example"},
    {"backup.example", DNS_TYPE_MX, 20, "us.example"},
    {"backup.example", DNS_TYPE_MX, 30, "c.example"},
    {"best.example", DNS_TYPE_MX, 10, "us.example"},
    {"best.example", DNS_TYPE_MX, 20, "a.example"},
    {"byname.example", DNS_TYPE_MX, 10, "ME.example"},
    {"sickbest.example", DNS_TYPE_MX, 10, "sick.example"},
    {"sickbest.example", DNS_TYPE_MX, 20, "us.example"},
    {"same.example", DNS_TYPE_MX, 10, "b.example"},
    {"same.example", DNS_TYPE_MX, 20, "b.example"},
};

static enum dns_status
query(void *context, struct dns_answer *answer, const char *name, uint16_t type)
{
    unsigned char bytes[16];
    (void)context;
    for (size_t i = 0; i < sizeof world / sizeof *world; i++) {
        const struct fact *fact = &world[i];
        if (fact->type != type || strcmp(fact->name, name) != 0)
            continue;
        if (strcmp(fact->value, "NXDOMAIN") == 0)
            return DNS_NO_NAME;
        if (strcmp(fact->value, "SERVFAIL") == 0)
            return DNS_TEMPORARY;
        answer->records[answer->count++] =
            (struct dns_record){.preference = fact->preference, .at = answer->data.len};
        if (type == DNS_TYPE_MX) {
            assert_true(
                stralloc_catb(&answer->data, fact->value, strlen(fact->value) + 1));
        } else {
            assert_int_equal(
                inet_pton(type == DNS_TYPE_A ? AF_INET : AF_INET6, fact->value, bytes),
                1);
            assert_true(stralloc_catb(&answer->data, (const char *)bytes,
                                      type == DNS_TYPE_A ? 4 : 16));
        }
    }
    return answer->count ? DNS_FOUND : DNS_NO_DATA;
}

/* The lots are drawn from a list: the test decides about the order of equals. */
static uint32_t
draw(void *context)
{
    const uint32_t **lots = context;
    return *(*lots)++;
}

static const uint32_t rising[8] = {1, 2, 3, 4, 5, 6, 7, 8};
static const uint32_t falling[8] = {8, 7, 6, 5, 4, 3, 2, 1};

/* Find, and compare with the addresses expected, separated by blanks. */
static void
expect_lots(const char *host, enum mx_status status, const char *expected,
            const uint32_t *lots)
{
    struct internet_address_set own = {.count = 0};
    struct mx_list list;
    stralloc text = STRALLOC_ZERO, all = STRALLOC_ZERO;
    const struct mx_source source = {.query = query,
                                     .random = draw,
                                     .context = &lots,
                                     .own = &own,
                                     .me = "me.example"};

    assert_true(internet_address_scan(&own.addresses[own.count++], "192.0.2.99"));
    assert_int_equal(mx_find(&list, &source, host), status);
    for (size_t i = 0; i < list.count; i++) {
        assert_true(internet_address_format(&text, &list.targets[i].address));
        assert_true(!i || stralloc_append(&all, ' '));
        assert_true(stralloc_cats(&all, text.s));
    }
    assert_true(stralloc_0(&all));
    assert_string_equal(all.s, expected);
    stralloc_free(&text);
    stralloc_free(&all);
}

static void
expect(const char *host, enum mx_status status, const char *expected)
{
    expect_lots(host, status, expected, rising);
}

static void
lower_preferences_come_first_and_ipv4_before_ipv6(void **state)
{
    (void)state;
    expect("two.example", MX_FOUND, "192.0.2.1 2001:db8::1 192.0.2.2");
}

static void
equal_preferences_are_ordered_by_lot(void **state)
{
    (void)state;
    expect("equal.example", MX_FOUND, "192.0.2.1 2001:db8::1 192.0.2.2 192.0.2.3");
    expect_lots("equal.example", MX_FOUND, "192.0.2.3 192.0.2.2 192.0.2.1 2001:db8::1",
                falling);
}

static void
without_mx_the_host_itself_counts(void **state)
{
    (void)state;
    expect("a.example", MX_FOUND, "192.0.2.1 2001:db8::1");
    expect("empty.example", MX_NO_ADDRESS, "");
}

static void
a_lone_dot_takes_no_mail(void **state)
{
    (void)state;
    expect("none.example", MX_NULL, "");
}

static void
no_name_is_not_no_answer(void **state)
{
    (void)state;
    expect("gone.example", MX_NO_NAME, "");
    expect("sick.example", MX_TEMPORARY, "");
    expect("onlysick.example", MX_TEMPORARY, "");
}

static void
exchangers_without_address_are_passed_over(void **state)
{
    (void)state;
    expect("skip.example", MX_FOUND, "192.0.2.2");
    expect("half.example", MX_FOUND, "192.0.2.2");
}

static void
this_host_is_cut_off_with_all_that_are_not_better(void **state)
{
    (void)state;
    expect("backup.example", MX_FOUND, "192.0.2.1 2001:db8::1");
    expect_lots("backup.example", MX_FOUND, "192.0.2.1 2001:db8::1", falling);
    expect("best.example", MX_LOOP, "");
    expect("byname.example", MX_LOOP, "");
    expect("us.example", MX_LOOP, "");
    expect("me.example", MX_LOOP, "");
    expect("[192.0.2.99]", MX_LOOP, "");
}

static void
an_unknown_better_exchanger_makes_a_loop_temporary(void **state)
{
    (void)state;
    expect("sickbest.example", MX_TEMPORARY, "");
}

static void
an_address_is_tried_once(void **state)
{
    (void)state;
    expect("same.example", MX_FOUND, "192.0.2.2");
}

static void
literals_are_addresses(void **state)
{
    (void)state;
    expect("[192.0.2.7]", MX_FOUND, "192.0.2.7");
    expect("[IPv6:2001:db8::7]", MX_FOUND, "2001:db8::7");
    expect("[::ffff:192.0.2.99]", MX_LOOP, "");
    expect("[nonsense]", MX_NO_NAME, "");
    expect("[192.0.2.7", MX_NO_NAME, "");
}

static void
a_relay_is_its_own_addresses_even_if_it_is_this_host(void **state)
{
    (void)state;
    struct mx_list list;
    const struct mx_source source = {.query = query, .random = draw, .me = "me.example"};
    assert_int_equal(mx_find_relay(&list, &source, "us.example"), MX_FOUND);
    assert_int_equal(list.count, 1);
    assert_int_equal(mx_find_relay(&list, &source, "two.example"), MX_NO_ADDRESS);
    assert_int_equal(mx_find_relay(&list, &source, "192.0.2.5"), MX_FOUND);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lower_preferences_come_first_and_ipv4_before_ipv6),
        cmocka_unit_test(equal_preferences_are_ordered_by_lot),
        cmocka_unit_test(without_mx_the_host_itself_counts),
        cmocka_unit_test(a_lone_dot_takes_no_mail),
        cmocka_unit_test(no_name_is_not_no_answer),
        cmocka_unit_test(exchangers_without_address_are_passed_over),
        cmocka_unit_test(this_host_is_cut_off_with_all_that_are_not_better),
        cmocka_unit_test(an_unknown_better_exchanger_makes_a_loop_temporary),
        cmocka_unit_test(an_address_is_tried_once),
        cmocka_unit_test(literals_are_addresses),
        cmocka_unit_test(a_relay_is_its_own_addresses_even_if_it_is_this_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
