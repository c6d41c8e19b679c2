#include <arpa/inet.h>
#include <netinet/in.h>

#include "internet_address.h"
#include "testing.h"

static struct internet_address
scanned(const char *text)
{
    struct internet_address address;
    assert_true(internet_address_scan(&address, text));
    return address;
}

static void
reads_addresses_bare_and_as_literals(void **state)
{
    static const char *const pairs[][2] = {
        {"192.0.2.1", "192.0.2.1"},       {"[192.0.2.1]", "192.0.2.1"},
        {"2001:DB8::1", "2001:db8::1"},   {"[IPv6:2001:db8::1]", "2001:db8::1"},
        {"[2001:db8::1]", "2001:db8::1"}, {"::ffff:192.0.2.1", "192.0.2.1"},
    };
    stralloc text = STRALLOC_ZERO;
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct internet_address address = scanned(pairs[i][0]);
        assert_true(internet_address_format(&text, &address));
        assert_string_equal(text.s, pairs[i][1]);
    }
    stralloc_free(&text);
}

static void
refuses_what_is_no_address(void **state)
{
    static const char *const bad[] = {"",    "[",   "]",         "[]",         "[1.2.3.4",
                                      "1.2", "a.b", "1.2.3.256", "[IPv6:]",    "[IPv6:1]",
                                      "::g", ":",   "1.2.3.4 ",  "[[1.2.3.4]]"};
    struct internet_address address;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(internet_address_scan(&address, bad[i]));
}

static void
becomes_a_socket_address(void **state)
{
    struct sockaddr_storage storage;
    struct sockaddr_in four;
    struct internet_address address = scanned("192.0.2.1");
    (void)state;
    assert_int_equal(internet_address_to_socket(&storage, &address, 25), sizeof four);
    memcpy(&four, &storage, sizeof four);
    assert_int_equal(four.sin_family, AF_INET);
    assert_int_equal(ntohs(four.sin_port), 25);
    assert_int_equal(ntohl(four.sin_addr.s_addr), 0xc0000201);
    address = scanned("::1");
    assert_int_equal(internet_address_to_socket(&storage, &address, 25),
                     sizeof(struct sockaddr_in6));
}

static bool
is_own(const char *text)
{
    struct internet_address_set own;
    struct internet_address address = scanned(text);
    assert_true(internet_address_load_own(&own));
    return internet_address_is_in(&own, &address);
}

static void
knows_this_host_and_what_the_administrator_adds_or_takes(void **state)
{
    (void)state;
    assert_true(is_own("127.0.0.1"));
    assert_true(is_own("0.0.0.0"));
    assert_false(is_own("192.0.2.77"));
    write_file("control/moreipme", "192.0.2.77\n[IPv6:2001:db8::77]\nnonsense\n");
    write_file("control/notipme", "127.0.0.1\n");
    assert_true(is_own("192.0.2.77"));
    assert_true(is_own("2001:db8::77"));
    assert_false(is_own("127.0.0.1"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_addresses_bare_and_as_literals),
        cmocka_unit_test(refuses_what_is_no_address),
        cmocka_unit_test(becomes_a_socket_address),
        cmocka_unit_test(knows_this_host_and_what_the_administrator_adds_or_takes),
    };
    return cmocka_run_group_tests(tests, enter_home, leave_folder);
}
