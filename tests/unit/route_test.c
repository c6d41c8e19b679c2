/* Local, virtual or remote, and the senders of lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config.h"
#include "route.h"
#include "text.h"

/* Build a map from lines that are separated by blanks. */
static void
fill(struct name_map *map, const char *lines, char separator)
{
    stralloc list = STRALLOC_ZERO;
    assert_true(text_copy(&list, lines) && stralloc_0(&list));
    for (size_t i = 0; i < list.len; i++)
        if (list.s[i] == ' ')
            list.s[i] = '\0';
    assert_true(name_map_build(map, &list, separator));
    stralloc_free(&list);
}

static struct config config;
static struct route route;

static int
set_up(void **state)
{
    (void)state;
    fill(&config.locals, "me.example hack.example", '\0');
    fill(&config.percenthack, "hack.example", '\0');
    fill(&config.virtualdomains,
         "virtual.example:joe boss@half.example:ann .sub.example:sub not.sub.example: "
         "half.example:rest me.example:never",
         ':');
    fill(&config.smtproutes,
         "routed.example:[192.0.2.1]:2525 .deep.example:Relay.Example", ':');
    return text_copy(&config.envnoathost, "me.example") ? 0 : -1;
}

static int
tear_down(void **state)
{
    (void)state;
    config_free(&config);
    route_free(&route);
    route = (struct route){0};
    return 0;
}

static void
expect_local(const char *recipient, const char *address, size_t prepend_len)
{
    assert_true(route_find(&route, &config, recipient));
    assert_true(route.is_local);
    assert_string_equal(route.address.s, address);
    assert_int_equal(route.prepend_len, prepend_len);
    assert_string_equal(route.host.s, "");
}

static void
expect_remote(const char *recipient, const char *address, const char *destination)
{
    assert_true(route_find(&route, &config, recipient));
    assert_false(route.is_local);
    assert_string_equal(route.address.s, address);
    assert_int_equal(route.prepend_len, 0);
    assert_string_equal(route.destination.s, destination);
}

static void
keeps_addresses_in_locals_here(void **state)
{
    (void)state;
    expect_local("joe@me.example", "joe@me.example", 0);
    expect_local("Joe@ME.Example", "Joe@ME.Example", 0);
    expect_local("joe", "joe@me.example", 0);
    expect_local("a@b@me.example", "a@b@me.example", 0);
    expect_local("@me.example", "@me.example", 0);
}

static void
prepends_the_user_of_a_virtual_domain(void **state)
{
    (void)state;
    expect_local("info@virtual.example", "joe-info@virtual.example", 4);
    expect_local("info@Virtual.Example", "joe-info@Virtual.Example", 4);
    expect_local("boss@half.example", "ann-boss@half.example", 4);
    expect_local("other@half.example", "rest-other@half.example", 5);
    expect_local("x@a.b.sub.example", "sub-x@a.b.sub.example", 4);
}

static void
takes_an_empty_prepend_for_not_virtual(void **state)
{
    (void)state;
    expect_remote("x@not.sub.example", "x@not.sub.example", "not.sub.example");
    expect_remote("x@sub.example", "x@sub.example", "sub.example");
}

static void
asks_for_all_other_domains_the_empty_key(void **state)
{
    (void)state;
    name_map_free(&config.virtualdomains);
    fill(&config.virtualdomains, ":all", ':');
    expect_local("x@any.example", "all-x@any.example", 4);
    expect_local("x@me.example", "x@me.example", 0);
}

static void
applies_the_percent_hack_again_and_again(void **state)
{
    (void)state;
    expect_remote("joe%far.example@hack.example", "joe@far.example", "far.example");
    expect_remote("joe%far.example%hack.example@hack.example", "joe@far.example",
                  "far.example");
    expect_local("joe%virtual.example@hack.example", "joe-joe@virtual.example", 4);
    expect_local("joe@hack.example", "joe@hack.example", 0);
    expect_remote("a%b@far.example", "a%b@far.example", "far.example");
}

static void
names_a_remote_destination_after_its_route(void **state)
{
    (void)state;
    expect_remote("joe@Far.Example", "joe@Far.Example", "far.example");
    assert_string_equal(route.host.s, "far.example");
    expect_remote("joe@routed.example", "joe@routed.example", "[192.0.2.1]:2525");
    assert_string_equal(route.host.s, "routed.example");
    expect_remote("joe@very.deep.example", "joe@very.deep.example", "relay.example:25");
    expect_remote("joe@", "joe@", "");
}

static void
expect_sender(const char *sender, const char *address, const char *expanded)
{
    stralloc out = STRALLOC_ZERO;
    assert_true(route_expand_sender(&out, sender, address));
    assert_string_equal(out.s, expanded);
    stralloc_free(&out);
}

static void
expands_the_sender_of_a_list_for_each_recipient(void **state)
{
    (void)state;
    expect_sender("list-@me.example-@[]", "joe@far.example",
                  "list-joe=far.example@me.example");
    expect_sender("list-@me.example-@[]", "a@b@far.example",
                  "list-a@b=far.example@me.example");
    expect_sender("joe@me.example", "x@far.example", "joe@me.example");
    expect_sender("", "x@far.example", "");
    expect_sender("#@[]", "x@far.example", "#@[]");
    expect_sender("-@[]", "x@far.example", "-@[]");
    expect_sender("list-@[]", "x@far.example", "list-@[]");
    assert_true(route_is_verp("list-@me.example-@[]"));
    assert_false(route_is_verp("#@[]"));
    assert_false(route_is_verp(""));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keeps_addresses_in_locals_here, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(prepends_the_user_of_a_virtual_domain, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(takes_an_empty_prepend_for_not_virtual, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(asks_for_all_other_domains_the_empty_key, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(applies_the_percent_hack_again_and_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(names_a_remote_destination_after_its_route,
                                        set_up, tear_down),
        cmocka_unit_test(expands_the_sender_of_a_list_for_each_recipient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
