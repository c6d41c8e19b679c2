/* The end of a pass: what has been touched is looked at once more, and may be freed. */
#include "pass.h"

#include "send.h"
#include "testing.h"
#include "text.h"
#include "work.h"

enum { ID = 1763635154123456, NOW = 1763635160 };

static struct send send;
static struct destination *dead;

static int
begin(void **state)
{
    memset(&send, 0, sizeof send);
    send.now_s = NOW;
    send.channels[CHANNEL_REMOTE].limit = 20;
    bounce_desk_init(&send.bounces);
    if (enter_home(state) < 0 || !destination_table_init(&send.destinations))
        return -1;
    dead = destination_get(&send.destinations, 1, false, "dead.example");
    return dead && destination_fail(&send.destinations, dead, NOW, "no answer") ? 0 : -1;
}

static int
end(void **state)
{
    destination_table_free(&send.destinations);
    schedule_free(&send.due);
    id_set_free(&send.known);
    stralloc_free(&send.log.pending);
    return leave_folder(state);
}

/* A message in memory with one recipient, at the destination that does not answer. */
static struct mail *
new_mail(void)
{
    static const char records[] = "Fme@a.example\0Tyou@dead.example";
    struct mail *mail = calloc(1, sizeof *mail);

    assert_non_null(mail);
    *mail = (struct mail){.id = ID, .recipient_count = 1, .group_count = 1, .undone = 1};
    mail->birth_s = NOW;
    mail->skipped_until_s = UINT64_MAX;
    assert_true(text_copy_bytes(&mail->file.envelope, records, sizeof records));
    mail->recipients = calloc(1, sizeof *mail->recipients);
    mail->groups = calloc(1, sizeof *mail->groups);
    assert_true(mail->recipients && mail->groups);
    mail->recipients[0] = (struct mail_recipient){.destination = dead->hash};
    mail->groups[0] = (struct mail_group){.end = 1};
    mail_table_add(&send.mails, mail);
    assert_true(id_set_add(&send.known, ID));
    return mail;
}

static void
a_message_whose_last_groups_are_skipped_is_planned_once(void **state)
{
    uint64_t id, due_s;
    enum schedule_mark mark;
    struct mail *mail = new_mail();

    (void)state;
    mail->is_tried = true; /* at other destinations; it cannot wait on disk */
    pass_touch(&send, mail);
    pass_settle(&send);
    assert_int_equal(send.mails.count, 0);
    assert_int_equal(send.due.count, 1);
    assert_true(schedule_first(&send.due, &id, &due_s, &mark));
    assert_int_equal(id, ID);
    assert_int_equal(due_s, dead->retry_s);
}

static void
a_group_that_is_posted_late_is_begun_at_once(void **state)
{
    struct mail *mail = new_mail();
    struct destination *other =
        destination_get(&send.destinations, 2, false, "other.example");

    (void)state;
    assert_non_null(other);
    mail->recipients[0].destination = other->hash;
    mail->is_tried = true;
    pass_touch(&send, mail);
    pass_settle(&send);
    assert_int_equal(other->waiting.count, 1);
    assert_true(work_is_pending(&send)); /* with nothing running, nothing else wakes us */
    send.channels[CHANNEL_REMOTE].limit = 0;
    assert_false(work_is_pending(&send));
    id_queue_free(&other->waiting);
    mail_table_destroy(&send.mails, mail);
}

static void
a_bounce_may_be_accepted_in_the_turn_in_which_we_are_told_to_exit(void **state)
{
    struct mail *mail = new_mail();

    (void)state;
    mail->recipients[0].state = RECIPIENT_FAILED;
    mail->is_bouncing = true;
    send.is_exiting = true;
    pass_stop(&send);
    pass_bounced(&send, mail);
    pass_settle(&send);
    assert_int_equal(send.mails.count, 0);
    assert_false(id_set_has(&send.known, ID));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_message_whose_last_groups_are_skipped_is_planned_once, begin, end),
        cmocka_unit_test_setup_teardown(a_group_that_is_posted_late_is_begun_at_once,
                                        begin, end),
        cmocka_unit_test_setup_teardown(
            a_bounce_may_be_accepted_in_the_turn_in_which_we_are_told_to_exit, begin,
            end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
