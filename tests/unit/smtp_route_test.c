#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "smtp_route.h"

static const char lines[] = "example.org:relay.example.net\0"
                            ".example.org:[192.0.2.7]:2525\0"
                            "direct.example.org:\0"
                            "port.example.org::26\0"
                            "six.example:[2001:DB8::1]:587\0"
                            "bare.example:2001:db8::2\0"
                            "zero.example:relay:0\0"
                            "large.example:relay:65536\0"
                            "text.example:relay:smtp\0"
                            "tail.example:[::1]x\0"
                            ":Smart.Example.NET:1025\0";

struct fixture {
    struct name_map routes;
    stralloc relay;
    uint16_t port;
};

static void
build(struct fixture *f, const char *list, size_t len)
{
    stralloc text = STRALLOC_ZERO;
    memset(f, 0, sizeof *f);
    assert_true(stralloc_copyb(&text, list, len));
    assert_true(name_map_build(&f->routes, &text, ':'));
    stralloc_free(&text);
}

static void
release(struct fixture *f)
{
    name_map_free(&f->routes);
    stralloc_free(&f->relay);
}

static void
expect(const char *host, enum smtp_route_status status, const char *relay, uint16_t port)
{
    struct fixture f;
    build(&f, lines, sizeof lines - 1);
    assert_int_equal(smtp_route_find(&f.routes, host, &f.relay, &f.port), status);
    if (status != SMTP_ROUTE_ERROR) {
        assert_string_equal(f.relay.s, relay);
        assert_int_equal(f.port, port);
    }
    release(&f);
}

static void
the_whole_host_comes_before_its_suffixes(void **state)
{
    (void)state;
    expect("example.org", SMTP_ROUTE_FOUND, "relay.example.net", 25);
    expect("EXAMPLE.ORG", SMTP_ROUTE_FOUND, "relay.example.net", 25);
    expect("a.b.example.org", SMTP_ROUTE_FOUND, "[192.0.2.7]", 2525);
}

static void
an_empty_relay_means_mx_and_may_keep_a_port(void **state)
{
    (void)state;
    expect("direct.example.org", SMTP_ROUTE_NONE, "", 25);
    expect("port.example.org", SMTP_ROUTE_NONE, "", 26);
}

static void
the_empty_key_takes_all_other_hosts(void **state)
{
    (void)state;
    expect("elsewhere.example", SMTP_ROUTE_FOUND, "smart.example.net", 1025);
    expect("[192.0.2.1]", SMTP_ROUTE_FOUND, "smart.example.net", 1025);
}

static void
ipv6_addresses_keep_their_colons(void **state)
{
    (void)state;
    expect("six.example", SMTP_ROUTE_FOUND, "[2001:db8::1]", 587);
    expect("bare.example", SMTP_ROUTE_FOUND, "[2001:db8::2]", 25);
}

static void
a_port_that_is_none_is_an_error(void **state)
{
    (void)state;
    expect("zero.example", SMTP_ROUTE_ERROR, NULL, 0);
    expect("large.example", SMTP_ROUTE_ERROR, NULL, 0);
    expect("text.example", SMTP_ROUTE_ERROR, NULL, 0);
    expect("tail.example", SMTP_ROUTE_ERROR, NULL, 0);
}

static void
without_a_file_there_is_no_route(void **state)
{
    (void)state;
    struct fixture f;
    build(&f, "", 0);
    assert_int_equal(smtp_route_find(&f.routes, "example.org", &f.relay, &f.port),
                     SMTP_ROUTE_NONE);
    assert_int_equal(f.port, 25);
    release(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_host_comes_before_its_suffixes),
        cmocka_unit_test(an_empty_relay_means_mx_and_may_keep_a_port),
        cmocka_unit_test(the_empty_key_takes_all_other_hosts),
        cmocka_unit_test(ipv6_addresses_keep_their_colons),
        cmocka_unit_test(a_port_that_is_none_is_an_error),
        cmocka_unit_test(without_a_file_there_is_no_route),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
