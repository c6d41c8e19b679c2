#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "name_map.h"

static void
build(struct name_map *map, const char *list, size_t len, char separator)
{
    stralloc items = STRALLOC_ZERO;
    assert_true(stralloc_copyb(&items, list, len));
    assert_true(name_map_build(map, &items, separator));
    stralloc_free(&items); /* the map has its own copy */
}

static const char *
find(const struct name_map *map, const char *key)
{
    return name_map_find(map, key, strlen(key));
}

static void
an_empty_map_finds_nothing(void **state)
{
    (void)state;
    struct name_map map = {0};
    assert_null(find(&map, "a"));
    assert_null(name_map_find_host(&map, "a.b", true));
    build(&map, "", 0, '\0');
    assert_null(find(&map, ""));
    name_map_free(&map);
    name_map_free(&map);
}

static void
finds_names_of_a_set_without_regard_to_case(void **state)
{
    (void)state;
    static const char list[] = "b.Example\0a\0ab\0";
    struct name_map map;
    build(&map, list, sizeof list - 1, '\0');
    assert_string_equal(find(&map, "A"), "");
    assert_string_equal(find(&map, "B.eXample"), "");
    assert_string_equal(name_map_find(&map, "abc", 2), "");
    assert_null(find(&map, "abc"));
    assert_null(find(&map, ""));
    assert_null(name_map_find(&map, "a\0", 2));
    name_map_free(&map);
}

static void
the_first_of_equal_keys_wins(void **state)
{
    (void)state;
    static const char list[] = "x:1\0X:2\0y:a:b\0z\0x:3\0";
    struct name_map map;
    build(&map, list, sizeof list - 1, ':');
    assert_string_equal(find(&map, "x"), "1");
    assert_string_equal(find(&map, "Y"), "a:b");
    assert_string_equal(find(&map, "z"), "");
    assert_null(find(&map, "x:1"));
    name_map_free(&map);
}

static void
hosts_are_found_by_their_suffixes_too(void **state)
{
    (void)state;
    static const char list[] = ".example:suffix\0mail.example:exact\0:all\0";
    struct name_map map;
    build(&map, list, sizeof list - 1, ':');
    assert_string_equal(name_map_find_host(&map, "Mail.Example", false), "exact");
    assert_string_equal(name_map_find_host(&map, "a.b.example", false), "suffix");
    assert_null(name_map_find_host(&map, "example", false));
    assert_null(name_map_find_host(&map, "other.org", false));
    assert_string_equal(name_map_find_host(&map, "other.org", true), "all");
    name_map_free(&map);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_map_finds_nothing),
        cmocka_unit_test(finds_names_of_a_set_without_regard_to_case),
        cmocka_unit_test(the_first_of_equal_keys_wins),
        cmocka_unit_test(hosts_are_found_by_their_suffixes_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
