/* When a message is tried next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "id_queue.h"
#include "id_set.h"
#include "schedule.h"

static void
gives_messages_in_the_order_in_which_they_are_due(void **state)
{
    (void)state;
    struct schedule schedule = {0};
    uint64_t id, due_s, last_s = 0;
    enum schedule_mark mark;
    srandom(1);
    for (uint64_t i = 1; i <= 5000; i++)
        assert_true(schedule_add(&schedule, i, (uint64_t)random() % 1000, random() % 3));
    for (int i = 0; i < 5000; i++) {
        assert_true(schedule_first(&schedule, &id, &due_s, &mark));
        assert_true(due_s >= last_s);
        last_s = due_s;
        schedule_remove_first(&schedule);
    }
    assert_false(schedule_first(&schedule, &id, &due_s, &mark));
    schedule_free(&schedule);
}

static void
gives_the_older_of_two_messages_first_and_keeps_whether_it_was_seen(void **state)
{
    (void)state;
    struct schedule schedule = {0};
    uint64_t id, due_s;
    enum schedule_mark mark;
    assert_true(schedule_add(&schedule, 9, 100, SCHEDULE_UNSEEN_DUE));
    assert_true(schedule_add(&schedule, 7, 100, SCHEDULE_UNSEEN));
    assert_true(schedule_add(&schedule, 8, 100, SCHEDULE_SEEN));
    assert_true(schedule_first(&schedule, &id, &due_s, &mark));
    assert_int_equal(id, 7);
    assert_int_equal(mark, SCHEDULE_UNSEEN);
    schedule_remove_first(&schedule);
    assert_true(schedule_first(&schedule, &id, &due_s, &mark));
    assert_int_equal(id, 8);
    assert_int_equal(mark, SCHEDULE_SEEN);
    schedule_remove_first(&schedule);
    assert_true(schedule_first(&schedule, &id, &due_s, &mark));
    assert_int_equal(id, 9);
    assert_int_equal(mark, SCHEDULE_UNSEEN_DUE);
    schedule_free(&schedule);
}

static void
makes_all_due_at_once_oldest_first(void **state)
{
    (void)state;
    struct schedule schedule = {0};
    uint64_t id, due_s;
    enum schedule_mark mark;
    for (uint64_t i = 1; i <= 100; i++)
        assert_true(schedule_add(&schedule, i, 1000 - i, SCHEDULE_SEEN));
    schedule_all_due(&schedule, 0);
    for (uint64_t i = 1; i <= 100; i++) {
        assert_true(schedule_first(&schedule, &id, &due_s, &mark));
        assert_int_equal(id, i);
        assert_int_equal(due_s, 0);
        schedule_remove_first(&schedule);
    }
    schedule_free(&schedule);
}

static void
makes_due_what_is_not_checked_yet_whatever_it_will_say(void **state)
{
    (void)state;
    struct schedule schedule = {0};
    uint64_t id, due_s;
    enum schedule_mark mark;
    const enum schedule_mark before[] = {SCHEDULE_SEEN, SCHEDULE_UNSEEN,
                                         SCHEDULE_UNSEEN_DUE};
    const enum schedule_mark after[] = {SCHEDULE_SEEN, SCHEDULE_UNSEEN_DUE,
                                        SCHEDULE_UNSEEN_DUE};
    for (uint64_t i = 0; i < 3; i++)
        assert_true(schedule_add(&schedule, i + 1, 1000, before[i]));
    schedule_all_due(&schedule, 0);
    for (uint64_t i = 0; i < 3; i++) {
        assert_true(schedule_first(&schedule, &id, &due_s, &mark));
        assert_int_equal(id, i + 1);
        assert_int_equal(mark, after[i]);
        schedule_remove_first(&schedule);
    }
}

static void
plans_the_next_try_by_the_square_of_the_root_of_the_age(void **state)
{
    (void)state;
    const uint64_t birth = 1700000000;
    /* first tries of a message that is never delivered: 400, 1600, 3600 ... seconds */
    assert_int_equal(schedule_retry_time(birth, birth, SCHEDULE_SKIP_REMOTE),
                     birth + 400);
    assert_int_equal(schedule_retry_time(birth, birth + 400, SCHEDULE_SKIP_REMOTE),
                     birth + 1600);
    assert_int_equal(schedule_retry_time(birth, birth + 1600, SCHEDULE_SKIP_REMOTE),
                     birth + 3600);
    assert_int_equal(schedule_retry_time(birth, birth, SCHEDULE_SKIP_LOCAL), birth + 100);
    /* the root is rounded down */
    assert_int_equal(schedule_retry_time(birth, birth + 99, SCHEDULE_SKIP_LOCAL),
                     birth + 19 * 19);
    assert_int_equal(schedule_retry_time(birth, birth + 100, SCHEDULE_SKIP_LOCAL),
                     birth + 20 * 20);
}

static void
counts_from_now_for_a_message_from_the_future(void **state)
{
    (void)state;
    assert_int_equal(schedule_retry_time(5000, 1000, SCHEDULE_SKIP_REMOTE), 1400);
    assert_int_equal(schedule_retry_time(UINT64_MAX, 1000, SCHEDULE_SKIP_LOCAL), 1100);
}

static void
knows_an_id_until_it_is_removed(void **state)
{
    (void)state;
    struct id_set set = {0};
    srandom(2);
    /* neighbours and strangers, so that chains of taken slots are broken in the middle */
    for (uint64_t i = 1; i <= 20000; i++)
        assert_true(id_set_add(&set, i * 7 % 20011));
    assert_int_equal(set.count, 20000);
    for (uint64_t i = 1; i <= 20000; i += 2)
        id_set_remove(&set, i * 7 % 20011);
    for (uint64_t i = 1; i <= 20000; i++)
        assert_int_equal(id_set_has(&set, i * 7 % 20011), i % 2 == 0);
    assert_int_equal(set.count, 10000);
    assert_true(id_set_add(&set, 14));
    assert_false(id_set_has(&set, 0));
    id_set_free(&set);
    assert_false(id_set_has(&set, 14));
}

static void
gives_ids_back_in_the_order_in_which_they_came(void **state)
{
    (void)state;
    struct id_queue queue = {0};
    uint64_t next_in = 1, next_out = 1;
    srandom(3);
    for (int i = 0; i < 100000; i++) {
        if (random() % 100 < 51) {
            assert_true(id_queue_put(&queue, next_in++));
        } else if (queue.count) {
            assert_int_equal(id_queue_take(&queue), next_out++);
        }
    }
    while (queue.count)
        assert_int_equal(id_queue_take(&queue), next_out++);
    assert_int_equal(next_out, next_in);
    assert_null(queue.ring);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_messages_in_the_order_in_which_they_are_due),
        cmocka_unit_test(
            gives_the_older_of_two_messages_first_and_keeps_whether_it_was_seen),
        cmocka_unit_test(makes_all_due_at_once_oldest_first),
        cmocka_unit_test(makes_due_what_is_not_checked_yet_whatever_it_will_say),
        cmocka_unit_test(plans_the_next_try_by_the_square_of_the_root_of_the_age),
        cmocka_unit_test(counts_from_now_for_a_message_from_the_future),
        cmocka_unit_test(knows_an_id_until_it_is_removed),
        cmocka_unit_test(gives_ids_back_in_the_order_in_which_they_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
