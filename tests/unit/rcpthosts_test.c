#include "cdb_table.h"
#include "rcpthosts.h"
#include "testing.h"

static void
finds_nothing_without_files(void **state)
{
    struct rcpthosts rcpthosts;
    (void)state;
    rcpthosts_init(&rcpthosts);
    assert_int_equal(rcpthosts_find(&rcpthosts, "a.example"), RCPTHOSTS_ABSENT);
    assert_true(rcpthosts.is_missing);
    rcpthosts_free(&rcpthosts);
}

static void
finds_domains_and_dot_suffixes_in_both_places(void **state)
{
    struct rcpthosts rcpthosts;
    struct cdb_maker maker;
    (void)state;

    write_file("control/rcpthosts", "# ours\nOne.example\n.two.example  \n");
    assert_true(cdb_maker_start(&maker, "control/morercpthosts.cdb"));
    assert_true(cdb_maker_add(&maker, "three.example", 13, "", 0));
    assert_true(cdb_maker_add(&maker, ".four.example", 13, "", 0));
    assert_true(cdb_maker_finish(&maker));

    rcpthosts_init(&rcpthosts);
    assert_int_equal(rcpthosts_find(&rcpthosts, "oNE.example"), RCPTHOSTS_FOUND);
    assert_int_equal(rcpthosts_find(&rcpthosts, "x.y.TWO.example"), RCPTHOSTS_FOUND);
    assert_int_equal(rcpthosts_find(&rcpthosts, "Three.example"), RCPTHOSTS_FOUND);
    assert_int_equal(rcpthosts_find(&rcpthosts, "x.y.Four.example"), RCPTHOSTS_FOUND);
    assert_int_equal(rcpthosts_find(&rcpthosts, "x.one.example"), RCPTHOSTS_ABSENT);
    assert_int_equal(rcpthosts_find(&rcpthosts, "two.example"), RCPTHOSTS_ABSENT);
    assert_int_equal(rcpthosts_find(&rcpthosts, "four.example"), RCPTHOSTS_ABSENT);
    assert_int_equal(rcpthosts_find(&rcpthosts, "example"), RCPTHOSTS_ABSENT);
    assert_int_equal(rcpthosts_find(&rcpthosts, ""), RCPTHOSTS_ABSENT);
    assert_int_equal(rcpthosts_find(&rcpthosts, "# ours"), RCPTHOSTS_ABSENT);
    assert_false(rcpthosts.is_missing);
    rcpthosts_free(&rcpthosts);
}

static void
says_when_a_file_is_unusable(void **state)
{
    struct rcpthosts rcpthosts;
    (void)state;
    write_file("control/morercpthosts.cdb", "no cdb");
    rcpthosts_init(&rcpthosts);
    assert_int_equal(rcpthosts_find(&rcpthosts, "five.example"), RCPTHOSTS_ERROR);
    rcpthosts_free(&rcpthosts);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_nothing_without_files),
        cmocka_unit_test(finds_domains_and_dot_suffixes_in_both_places),
        cmocka_unit_test(says_when_a_file_is_unusable),
    };
    return cmocka_run_group_tests(tests, enter_home, leave_folder);
}
