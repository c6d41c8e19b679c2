#include <errno.h>
#include <fcntl.h>

#include "cdb_table.h"
#include "testing.h"

static void
make_table(const char *path, const char *key, const char *value)
{
    struct cdb_maker maker;
    assert_true(cdb_maker_start(&maker, path));
    assert_true(cdb_maker_add(&maker, key, strlen(key), value, strlen(value)));
    assert_true(cdb_maker_finish(&maker));
}

static enum cdb_table_status
look_up(struct cdb_table *table, const char *key, stralloc *data)
{
    return cdb_table_find(table, key, strlen(key), data);
}

static void
finds_every_record_and_no_other(void **state)
{
    struct cdb_maker maker;
    struct cdb_table table = {.fd = -1};
    stralloc data = STRALLOC_ZERO;
    char key[32];
    (void)state;

    assert_true(cdb_maker_start(&maker, "many"));
    for (int i = 0; i < 2000; i++) {
        snprintf(key, sizeof key, "key%d", i);
        assert_true(cdb_maker_add(&maker, key, strlen(key), key + 3, strlen(key + 3)));
    }
    assert_int_equal(access("many", F_OK), -1);
    assert_true(cdb_maker_finish(&maker));
    assert_int_equal(access("many.tmp", F_OK), -1);
    assert_int_equal(cdb_table_open(&table, "many"), CDB_TABLE_FOUND);
    for (int i = 0; i < 2000; i++) {
        snprintf(key, sizeof key, "key%d", i);
        assert_int_equal(look_up(&table, key, &data), CDB_TABLE_FOUND);
        assert_string_equal(data.s, key + 3);
    }
    assert_int_equal(look_up(&table, "key2000", &data), CDB_TABLE_ABSENT);
    assert_int_equal(data.len, 0);
    cdb_table_close(&table);
    stralloc_free(&data);
}

static void
empty_keys_empty_data_and_first_of_equal_keys(void **state)
{
    struct cdb_maker maker;
    struct cdb_table table = {.fd = -1};
    stralloc data = STRALLOC_ZERO;
    (void)state;

    assert_true(cdb_maker_start(&maker, "odd"));
    assert_true(cdb_maker_add(&maker, "", 0, "-+", 2));
    assert_true(cdb_maker_add(&maker, "none", 4, "", 0));
    assert_true(cdb_maker_add(&maker, "twice", 5, "first", 5));
    assert_true(cdb_maker_add(&maker, "twice", 5, "second", 6));
    assert_true(cdb_maker_finish(&maker));
    assert_int_equal(cdb_table_open(&table, "odd"), CDB_TABLE_FOUND);
    assert_int_equal(look_up(&table, "", &data), CDB_TABLE_FOUND);
    assert_string_equal(data.s, "-+");
    assert_int_equal(look_up(&table, "none", &data), CDB_TABLE_FOUND);
    assert_int_equal(data.len, 0);
    assert_int_equal(look_up(&table, "twice", &data), CDB_TABLE_FOUND);
    assert_string_equal(data.s, "first");
    cdb_table_close(&table);
    stralloc_free(&data);
}

static void
a_replaced_file_is_opened_anew(void **state)
{
    struct cdb_table table = {.fd = -1};
    stralloc data = STRALLOC_ZERO;
    (void)state;

    assert_int_equal(cdb_table_open(&table, "changing"), CDB_TABLE_ABSENT);
    assert_int_equal(look_up(&table, "k", &data), CDB_TABLE_ABSENT);
    make_table("changing", "k", "old");
    assert_int_equal(cdb_table_open(&table, "changing"), CDB_TABLE_FOUND);
    assert_int_equal(look_up(&table, "k", &data), CDB_TABLE_FOUND);
    assert_string_equal(data.s, "old");
    make_table("changing", "k", "new");
    assert_int_equal(cdb_table_open(&table, "changing"), CDB_TABLE_FOUND);
    assert_int_equal(look_up(&table, "k", &data), CDB_TABLE_FOUND);
    assert_string_equal(data.s, "new");
    assert_int_equal(unlink("changing"), 0);
    assert_int_equal(cdb_table_open(&table, "changing"), CDB_TABLE_ABSENT);
    assert_int_equal(table.fd, -1);
    stralloc_free(&data);
}

static void
a_file_that_is_no_cdb_is_an_error(void **state)
{
    struct cdb_table table = {.fd = -1};
    (void)state;

    int fd = open("text", O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, "hello\n", 6), 6);
    close(fd);
    assert_int_equal(cdb_table_open(&table, "text"), CDB_TABLE_ERROR);
    assert_int_equal(errno, EPROTO);
    assert_int_equal(cdb_table_open(&table, "."), CDB_TABLE_ERROR);
    assert_int_equal(table.fd, -1);
}

static void
a_table_cut_short_while_open_is_an_error_and_no_signal(void **state)
{
    struct cdb_table table = {.fd = -1};
    stralloc data = STRALLOC_ZERO;
    (void)state;

    make_table("short", "k", "value");
    assert_int_equal(cdb_table_open(&table, "short"), CDB_TABLE_FOUND);
    assert_int_equal(truncate("short", 2050), 0);
    assert_int_equal(look_up(&table, "k", &data), CDB_TABLE_ERROR);
    assert_int_equal(cdb_table_open(&table, "short"), CDB_TABLE_ERROR);
    stralloc_free(&data);
}

static void
a_data_length_beyond_the_file_is_an_error(void **state)
{
    struct cdb_table table = {.fd = -1};
    stralloc data = STRALLOC_ZERO;
    (void)state;

    make_table("long", "k", "value");
    int fd = open("long", O_WRONLY);
    assert_int_equal(pwrite(fd, "\xff\xff\xff\x7f", 4, 2052), 4);
    close(fd);
    assert_int_equal(cdb_table_open(&table, "long"), CDB_TABLE_FOUND);
    assert_int_equal(look_up(&table, "k", &data), CDB_TABLE_ERROR);
    assert_int_equal(errno, EPROTO);
    cdb_table_close(&table);
    stralloc_free(&data);
}

static void
an_abandoned_table_leaves_the_old_one(void **state)
{
    struct cdb_maker maker;
    struct cdb_table table = {.fd = -1};
    stralloc data = STRALLOC_ZERO;
    (void)state;

    make_table("kept", "k", "old");
    assert_true(cdb_maker_start(&maker, "kept"));
    assert_true(cdb_maker_add(&maker, "k", 1, "new", 3));
    cdb_maker_abandon(&maker);
    assert_int_equal(access("kept.tmp", F_OK), -1);
    assert_int_equal(cdb_table_open(&table, "kept"), CDB_TABLE_FOUND);
    assert_int_equal(look_up(&table, "k", &data), CDB_TABLE_FOUND);
    assert_string_equal(data.s, "old");
    cdb_table_close(&table);
    stralloc_free(&data);
}

static void
a_table_that_cannot_be_put_in_place_is_an_error(void **state)
{
    struct cdb_maker maker;
    (void)state;

    assert_false(cdb_maker_start(&maker, "missing/x"));
    assert_int_equal(errno, ENOENT);
    assert_int_equal(mkdir("occupied", 0700), 0);
    assert_true(cdb_maker_start(&maker, "occupied"));
    assert_true(cdb_maker_add(&maker, "k", 1, "v", 1));
    assert_false(cdb_maker_finish(&maker));
    assert_int_equal(access("occupied.tmp", F_OK), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_every_record_and_no_other),
        cmocka_unit_test(empty_keys_empty_data_and_first_of_equal_keys),
        cmocka_unit_test(a_replaced_file_is_opened_anew),
        cmocka_unit_test(a_file_that_is_no_cdb_is_an_error),
        cmocka_unit_test(a_table_cut_short_while_open_is_an_error_and_no_signal),
        cmocka_unit_test(a_data_length_beyond_the_file_is_an_error),
        cmocka_unit_test(an_abandoned_table_leaves_the_old_one),
        cmocka_unit_test(a_table_that_cannot_be_put_in_place_is_an_error),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
