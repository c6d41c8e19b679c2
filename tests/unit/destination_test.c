/* What is remembered of destinations: pauses that grow, and forgetting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "destination.h"
#include "keyed_hash.h"

static struct destination *
make(struct destination_table *table, const char *name)
{
    uint64_t hash = destination_hash(table, false, name);
    struct destination *made = destination_get(table, hash, false, name);
    assert_non_null(made);
    return made;
}

static int
set_up(void **state)
{
    static struct destination_table table;
    *state = &table;
    return destination_table_init(&table) ? 0 : -1;
}

static int
tear_down(void **state)
{
    destination_table_free(*state);
    return 0;
}

static void
finds_a_destination_by_its_name(void **state)
{
    struct destination_table *table = *state;
    struct destination *one = make(table, "one.example");
    assert_ptr_equal(make(table, "one.example"), one);
    assert_ptr_not_equal(make(table, "two.example"), one);
    assert_int_not_equal(destination_hash(table, true, "one.example"), one->hash);
    for (int i = 0; i < 3000; i++) {
        char name[32];
        snprintf(name, sizeof name, "host-%d.example", i);
        make(table, name);
    }
    assert_int_equal(table->count, 3002);
    assert_ptr_equal(destination_find(table, one->hash), one);
}

static void
pauses_longer_after_each_failure_up_to_a_limit(void **state)
{
    struct destination_table *table = *state;
    struct destination *dead = make(table, "dead.example");
    uint64_t now_s = 1000, pause_s = DESTINATION_FIRST_PAUSE_S;
    for (int i = 0; i < 50; i++) {
        assert_true(destination_may_start(dead, 5, now_s));
        assert_true(destination_fail(table, dead, now_s, "no answer"));
        assert_false(destination_may_start(dead, 5, now_s));
        assert_false(destination_may_start(dead, 5, now_s + pause_s - 1));
        now_s += pause_s;
        pause_s = pause_s * 2 > DESTINATION_LAST_PAUSE_S ? DESTINATION_LAST_PAUSE_S
                                                         : pause_s * 2;
    }
    assert_int_equal(pause_s, DESTINATION_LAST_PAUSE_S);
}

static void
counts_failures_of_jobs_that_ran_together_as_one(void **state)
{
    struct destination_table *table = *state;
    struct destination *dead = make(table, "dead.example");
    assert_true(destination_fail(table, dead, 1000, "no answer"));
    assert_false(destination_fail(table, dead, 1001, "no answer"));
    assert_int_equal(dead->failures, 1);
}

static void
tries_one_job_after_a_pause_and_all_after_success(void **state)
{
    struct destination_table *table = *state;
    struct destination *weak = make(table, "weak.example");
    destination_fail(table, weak, 1000, "no answer");
    assert_true(destination_may_start(weak, 5, 1060));
    weak->running = 1;
    assert_false(destination_may_start(weak, 5, 1060));
    destination_succeed(weak);
    assert_true(destination_may_start(weak, 5, 1060));
    assert_null(weak->last_failure);
    weak->running = 0;
}

static void
wakes_a_destination_when_its_pause_is_over(void **state)
{
    struct destination_table *table = *state;
    struct destination *dead = make(table, "dead.example");
    destination_fail(table, dead, 1000, "no answer");
    assert_true(id_queue_put(&dead->waiting, 1));
    assert_null(destination_wake(table, 1059));
    assert_ptr_equal(destination_wake(table, 1060), dead);
    assert_null(destination_wake(table, 1060));
}

static void
plans_nothing_twice_for_a_destination_that_refuses_for_years(void **state)
{
    struct destination_table *table = *state;
    struct destination *dead = make(table, "dead.example");
    assert_true(id_queue_put(&dead->waiting, 1));
    uint64_t now_s = 1000;
    destination_fail(table, dead, now_s, "refused");
    for (int i = 0; i < 1000; i++) {
        now_s = dead->retry_s;
        assert_ptr_equal(destination_wake(table, now_s), dead);
        assert_null(destination_wake(table, now_s));
        assert_true(destination_fail(table, dead, now_s, "refused")); /* at once */
    }
    assert_in_range(table->wake.count, 1, 3);
}

static void
forgets_a_failure_that_nobody_asked_about(void **state)
{
    struct destination_table *table = *state;
    struct destination *dead = make(table, "dead.example");
    uint64_t hash = dead->hash;
    destination_fail(table, dead, 1000, "no answer");
    assert_false(destination_release(table, dead));
    assert_null(destination_wake(table, 1060));
    assert_non_null(destination_find(table, hash));
    assert_null(destination_wake(table, 1060 + DESTINATION_FIRST_PAUSE_S));
    assert_null(destination_find(table, hash));
    assert_int_equal(table->wake.count, 0);
}

static void
forgets_a_failure_when_the_job_after_its_pause_told_nothing(void **state)
{
    struct destination_table *table = *state;
    struct destination *dead = make(table, "dead.example");
    uint64_t hash = dead->hash;
    destination_fail(table, dead, 1000, "no answer");
    dead->running = 1;
    assert_ptr_equal(destination_wake(table, 1060), dead);
    dead->running = 0;
    assert_null(destination_wake(table, 1060 + DESTINATION_FIRST_PAUSE_S));
    assert_null(destination_find(table, hash));
}

static void
is_not_stopped_by_a_clock_that_was_set_back(void **state)
{
    struct destination_table *table = *state;
    struct destination *dead = make(table, "dead.example");
    destination_fail(table, dead, 1000000, "no answer");
    assert_true(destination_is_paused(dead, 1000000));
    assert_false(destination_is_paused(dead, 1000));
}

static void
hashes_as_siphash_2_4_does(void **state)
{
    (void)state;
    /* the example of the SipHash paper, appendix A: key 00..0f, bytes 00..0e */
    const uint64_t key[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    const char bytes[] = "\0\1\2\3\4\5\6\7\10\11\12\13\14\15\16";
    assert_true(keyed_hash(key, bytes, 15) == UINT64_C(0xa129ca6149be45e5));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds_a_destination_by_its_name, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(pauses_longer_after_each_failure_up_to_a_limit,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(counts_failures_of_jobs_that_ran_together_as_one,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(tries_one_job_after_a_pause_and_all_after_success,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(wakes_a_destination_when_its_pause_is_over,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            plans_nothing_twice_for_a_destination_that_refuses_for_years, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(forgets_a_failure_that_nobody_asked_about, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            forgets_a_failure_when_the_job_after_its_pause_told_nothing, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(is_not_stopped_by_a_clock_that_was_set_back,
                                        set_up, tear_down),
        cmocka_unit_test(hashes_as_siphash_2_4_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
