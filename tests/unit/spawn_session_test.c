#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spawn_session.h"
#include "text.h"

static const struct spawn_limits limits = {
    .per_key = 2, .total = 4, .ahead = 2, .in_order = true};

/* Some delivery processes that exist only on paper. */
struct line_up {
    struct spawn_session sessions[8];
    unsigned int count;
};

static void
add(struct line_up *line_up, const char *key, unsigned int jobs, int64_t idle_since_ms)
{
    struct spawn_session *session = &line_up->sessions[line_up->count];
    *session = (struct spawn_session){
        .socket = 100, .job_count = jobs, .idle_since_ms = idle_since_ms};
    assert_true(text_copy(&session->key, key));
    if (line_up->count)
        line_up->sessions[line_up->count - 1].next = session;
    line_up->count++;
}

/* Choose among them; *index becomes that of the chosen one, or -1. */
static enum spawn_choice
choose(struct line_up *line_up, const struct spawn_limits *with, const char *key,
       int *index)
{
    stralloc text = STRALLOC_ZERO;
    struct spawn_session *chosen;
    assert_true(text_copy(&text, key));
    enum spawn_choice choice = spawn_session_choose(
        line_up->count ? line_up->sessions : NULL, with, &text, &chosen);
    *index = chosen ? (int)(chosen - line_up->sessions) : -1;
    stralloc_free(&text);
    for (unsigned int i = 0; i < line_up->count; i++)
        stralloc_free(&line_up->sessions[i].key);
    return choice;
}

static void
an_idle_process_of_the_key_is_used(void **state)
{
    struct line_up line_up = {0};
    int index;
    (void)state;
    add(&line_up, "a", 1, 0);
    add(&line_up, "b", 0, 0);
    add(&line_up, "a", 0, 0);
    assert_int_equal(choose(&line_up, &limits, "a", &index), SPAWN_USE);
    assert_int_equal(index, 2);
}

static void
another_is_started_while_there_is_room(void **state)
{
    struct line_up line_up = {0};
    int index;
    (void)state;
    assert_int_equal(choose(&line_up, &limits, "a", &index), SPAWN_START);
    add(&line_up, "a", 1, 0);
    assert_int_equal(choose(&line_up, &limits, "a", &index), SPAWN_START);
}

static void
the_least_busy_takes_jobs_ahead_when_its_destination_is_full(void **state)
{
    struct line_up line_up = {0};
    int index;
    (void)state;
    add(&line_up, "a", 3, 0);
    add(&line_up, "a", 2, 0);
    assert_int_equal(choose(&line_up, &limits, "a", &index), SPAWN_USE);
    assert_int_equal(index, 1);
}

static void
a_job_is_held_when_everybody_has_enough(void **state)
{
    struct line_up line_up = {0};
    int index;
    (void)state;
    add(&line_up, "a", 3, 0);
    add(&line_up, "a", 3, 0);
    assert_int_equal(choose(&line_up, &limits, "a", &index), SPAWN_HOLD);
}

static void
the_longest_idle_stranger_makes_room(void **state)
{
    struct line_up line_up = {0};
    int index;
    (void)state;
    add(&line_up, "b", 0, 50);
    add(&line_up, "c", 0, 40);
    add(&line_up, "d", 1, 10);
    add(&line_up, "e", 0, 60);
    assert_int_equal(choose(&line_up, &limits, "a", &index), SPAWN_REPLACE);
    assert_int_equal(index, 1);
}

static void
a_full_house_of_busy_strangers_means_waiting(void **state)
{
    struct line_up line_up = {0};
    int index;
    (void)state;
    for (int i = 0; i < 4; i++)
        add(&line_up, "b", 1, 0);
    assert_int_equal(choose(&line_up, &limits, "a", &index), SPAWN_HOLD);
}

static void
one_that_has_ended_does_not_count(void **state)
{
    struct line_up line_up = {0};
    int index;
    (void)state;
    add(&line_up, "a", 0, 0);
    line_up.sessions[0].socket = -1;
    assert_int_equal(choose(&line_up, &limits, "a", &index), SPAWN_START);
    assert_int_equal(index, -1);
}

static void
a_local_process_takes_all_its_jobs(void **state)
{
    struct line_up line_up = {0};
    const struct spawn_limits all = {.per_key = 1, .total = 4, .ahead = 1000000};
    int index;
    (void)state;
    add(&line_up, "a", 5000, 0);
    assert_int_equal(choose(&line_up, &all, "a", &index), SPAWN_USE);
}

static struct spawn_job *
make_job(const char *number)
{
    struct spawn_job *job = calloc(1, sizeof *job);
    assert_non_null(job);
    job->message.fd = -1;
    job->number = number;
    assert_true(text_copy_bytes(&job->request, number, strlen(number) + 1));
    return job;
}

static void
free_job(struct spawn_job *job)
{
    stralloc_free(&job->request);
    free(job);
}

static void
jobs_not_begun_can_be_taken_back(void **state)
{
    int sockets[2];
    struct spawn_session session = {.in_order = true};
    (void)state;
    assert_true(handoff_pair(sockets));
    session.socket = sockets[0];
    static const char *const numbers[] = {"1", "2", "3"};
    for (int i = 0; i < 3; i++)
        spawn_session_add(&session, make_job(numbers[i]));
    assert_true(spawn_session_wants_to_send(&session));
    assert_true(spawn_session_flush(&session));
    assert_false(spawn_session_wants_to_send(&session));
    assert_null(spawn_session_take(&session, "4"));
    struct spawn_job *job = spawn_session_take_unbegun(&session);
    assert_string_equal(job->number, "2");
    free_job(job);
    job = spawn_session_take_unbegun(&session);
    assert_string_equal(job->number, "3");
    free_job(job);
    assert_null(spawn_session_take_unbegun(&session)); /* it may have begun with 1 */
    assert_int_equal(session.job_count, 1);
    free_job(spawn_session_take(&session, "1"));
    assert_int_equal(session.job_count, 0);
    spawn_session_end(&session);
    close(sockets[1]);
}

static void
a_process_that_works_all_at_once_may_have_begun_with_each(void **state)
{
    int sockets[2];
    struct spawn_session session = {.in_order = false};
    (void)state;
    assert_true(handoff_pair(sockets));
    session.socket = sockets[0];
    spawn_session_add(&session, make_job("1"));
    spawn_session_add(&session, make_job("2"));
    assert_true(spawn_session_flush(&session));
    assert_null(spawn_session_take_unbegun(&session));
    spawn_session_add(&session, make_job("3"));
    close(sockets[1]);
    assert_false(spawn_session_flush(&session));
    struct spawn_job *job = spawn_session_take_unbegun(&session); /* it was never sent */
    assert_string_equal(job->number, "3");
    free_job(job);
    free_job(spawn_session_take(&session, "1"));
    free_job(spawn_session_take(&session, "2"));
    spawn_session_end(&session);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_process_of_the_key_is_used),
        cmocka_unit_test(another_is_started_while_there_is_room),
        cmocka_unit_test(the_least_busy_takes_jobs_ahead_when_its_destination_is_full),
        cmocka_unit_test(a_job_is_held_when_everybody_has_enough),
        cmocka_unit_test(the_longest_idle_stranger_makes_room),
        cmocka_unit_test(a_full_house_of_busy_strangers_means_waiting),
        cmocka_unit_test(one_that_has_ended_does_not_count),
        cmocka_unit_test(a_local_process_takes_all_its_jobs),
        cmocka_unit_test(jobs_not_begun_can_be_taken_back),
        cmocka_unit_test(a_process_that_works_all_at_once_may_have_begun_with_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
