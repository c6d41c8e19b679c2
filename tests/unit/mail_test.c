/* Recipients in groups by destination, and the names of queue files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mail_table.h"
#include "queue_list.h"
#include "text.h"

static struct config config;
static struct destination_table destinations;

static int
set_up(void **state)
{
    (void)state;
    return text_copy(&config.envnoathost, "me.example") &&
                   destination_table_init(&destinations)
               ? 0
               : -1;
}

static int
tear_down(void **state)
{
    (void)state;
    config_free(&config);
    destination_table_free(&destinations);
    return 0;
}

/* Append one record: letter, text, NUL. */
static bool
append_record(stralloc *envelope, char letter, const char *text)
{
    return text_append_bytes(envelope, &letter, 1) && text_append(envelope, text) &&
           stralloc_0(envelope);
}

/* A message with these recipients; a '-' before one means that it is done. */
static struct mail *
make(uint64_t id, const char *const *recipients, size_t count)
{
    struct route route = {0};
    struct mail *mail = calloc(1, sizeof *mail);
    assert_non_null(mail);
    mail->id = id;
    stralloc *envelope = &mail->file.envelope;
    assert_true(append_record(envelope, 'F', "sender@me.example"));
    for (size_t i = 0; i < count; i++) {
        const char *text = recipients[i];
        assert_true(*text == '-' ? append_record(envelope, 'D', text + 1)
                                 : append_record(envelope, 'T', text));
    }
    assert_true(append_record(envelope, 'X', "an extension of later years"));
    assert_true(append_record(envelope, 'B', "1789000000"));
    assert_true(append_record(envelope, 'U', "1000"));
    assert_true(append_record(envelope, 'P', "77"));
    mail_read_records(mail);
    assert_true(mail_make_groups(mail, &config, &destinations, &route));
    route_free(&route);
    return mail;
}

static void
groups_recipients_by_destination_and_leaves_out_the_done_ones(void **state)
{
    (void)state;
    static const char *const recipients[] = {"a@one.example",   "b@two.example",
                                             "-c@one.example",  "d@ONE.example",
                                             "e@three.example", "f@one.example"};
    struct mail *mail = make(1, recipients, 6);
    assert_string_equal(mail_sender(mail), "sender@me.example");
    assert_int_equal(mail->birth_s, 1789000000);
    assert_int_equal(mail->uid, 1000);
    assert_int_equal(mail->qp, 77);
    assert_int_equal(mail->recipient_count, 5);
    assert_int_equal(mail->undone, 5);
    assert_int_equal(mail->group_count, 3);

    uint64_t one = destination_hash(&destinations, false, "one.example");
    struct mail_group *group = mail_find_group(mail, one);
    assert_non_null(group);
    assert_int_equal(group->end - group->next, 3);
    assert_string_equal(mail_recipient(mail, group->next), "a@one.example");
    assert_string_equal(mail_recipient(mail, group->next + 1), "d@ONE.example");
    assert_string_equal(mail_recipient(mail, group->next + 2), "f@one.example");
    assert_null(mail_find_group(mail, one + 1));
    mail_free(mail);
}

static void
finds_each_of_many_destinations(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static char texts[COUNT][32];
    static const char *recipients[COUNT];
    for (int i = 0; i < COUNT; i++) {
        snprintf(texts[i], sizeof texts[i], "u@host-%d.example", i % 250);
        recipients[i] = texts[i];
    }
    struct mail *mail = make(1, recipients, COUNT);
    assert_int_equal(mail->group_count, 250);
    for (int i = 0; i < 250; i++) {
        const struct mail_group *group = mail_find_group(
            mail, destination_hash(&destinations, false, recipients[i] + 2));
        assert_non_null(group);
        assert_int_equal(group->end - group->next, 4);
    }
    mail_free(mail);
}

static void
takes_the_id_for_the_birth_when_the_file_does_not_tell(void **state)
{
    (void)state;
    struct mail mail = {.id = UINT64_C(1789000000123456)};
    assert_true(append_record(&mail.file.envelope, 'F', ""));
    mail_read_records(&mail);
    assert_int_equal(mail.birth_s, 1789000000);
    stralloc_free(&mail.file.envelope);
}

static void
keeps_loaded_messages_by_id(void **state)
{
    (void)state;
    static const char *const recipient[] = {"a@one.example"};
    static struct mail_table table;
    for (uint64_t id = 1; id <= 10000; id++)
        mail_table_add(&table, make(id << 20, recipient, 1));
    assert_true(table.bytes > 10000 * sizeof(struct mail));
    for (uint64_t id = 1; id <= 10000; id++) {
        struct mail *mail = mail_table_find(&table, id << 20);
        assert_non_null(mail);
        mail_table_destroy(&table, mail);
        assert_null(mail_table_find(&table, id << 20));
    }
    assert_int_equal(table.count, 0);
    assert_int_equal(table.bytes, 0);
}

static void
accepts_only_canonical_names_in_the_right_folder(void **state)
{
    (void)state;
    const uint64_t id = UINT64_C(1789000000123456);
    const unsigned int split = (unsigned int)((id >> 24) % QUEUE_FILE_SPLIT);
    assert_int_equal(queue_list_id(split, "1789000000123456"), id);
    assert_int_equal(queue_list_id((split + 1) % QUEUE_FILE_SPLIT, "1789000000123456"),
                     0);
    assert_int_equal(queue_list_id(split, "01789000000123456"), 0);
    assert_int_equal(queue_list_id(split, "1789000000123456x"), 0);
    assert_int_equal(queue_list_id(split, "+1789000000123456"), 0);
    assert_int_equal(queue_list_id(split, ""), 0);
    assert_int_equal(queue_list_id(0, "0"), 0);
    for (unsigned int i = 0; i < QUEUE_FILE_SPLIT; i++)
        assert_int_equal(queue_list_id(i, "99999999999999999999999999"), 0);
    for (unsigned int i = 0; i < QUEUE_FILE_SPLIT; i++)
        assert_int_equal(queue_list_id(i, "18446744073709551616"), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            groups_recipients_by_destination_and_leaves_out_the_done_ones, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(finds_each_of_many_destinations, set_up,
                                        tear_down),
        cmocka_unit_test(takes_the_id_for_the_birth_when_the_file_does_not_tell),
        cmocka_unit_test_setup_teardown(keeps_loaded_messages_by_id, set_up, tear_down),
        cmocka_unit_test(accepts_only_canonical_names_in_the_right_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
