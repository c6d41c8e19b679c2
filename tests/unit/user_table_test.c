#include "user_table.h"

#include <errno.h>

#include "testing.h"
#include "testing_table.h"

static int
set_up(void **state)
{
    static const struct record records[] = {
        RECORD("", "-+x"),
        RECORD("!joe\0", "joe\0"
                         "7001\0"
                         "7002\0"
                         "/home/joe\0"
                         "\0"
                         ""),
        RECORD("!joe-", "joe\0"
                        "7001\0"
                        "7002\0"
                        "/home/joe\0"
                        "-\0"
                        ""),
        RECORD("!joe-list-", "list\0"
                             "7003\0"
                             "7002\0"
                             "/home/list\0"
                             "-\0"
                             "l-"),
        RECORD("!j", "wrong\0"
                     "1\0"
                     "1\0"
                     "/\0"
                     "\0"
                     ""), /* 'j' is no last byte */
        RECORD("!bad\0", "bad\0"
                         "7001"),
        RECORD("!huge\0", "huge\0"
                          "99999999999\0"
                          "1\0"
                          "/\0"
                          "\0"
                          ""),
        RECORD("!homeless\0", "homeless\0"
                              "5\0"
                              "5\0"
                              "\0"
                              "\0"
                              ""),
    };
    if (enter_folder(state) < 0)
        return -1;
    make_table("table", records, sizeof records / sizeof *records);
    return 0;
}

static enum user_status
find(const char *local, struct user *user)
{
    struct cdb_table table = {.fd = -1};
    assert_int_equal(cdb_table_open(&table, "table"), CDB_TABLE_FOUND);
    enum user_status status = user_table_find(&table, local, user);
    int saved = errno;
    cdb_table_close(&table);
    errno = saved;
    return status;
}

/* The uid found, or 0. */
static uid_t
uid_of(const char *local, struct user *user)
{
    return find(local, user) == USER_FOUND ? user->uid : 0;
}

static void
an_exact_entry_beats_a_wildcard(void **state)
{
    struct user user = {0};
    (void)state;
    assert_int_equal(uid_of("joe", &user), 7001);
    assert_int_equal(user.gid, 7002);
    assert_string_equal(user.name, "joe");
    assert_string_equal(user.homedir, "/home/joe");
    assert_string_equal(user.dash, "");
    assert_string_equal(user.ext, "");
    user_free(&user);
}

static void
the_longest_wildcard_wins_and_keeps_the_rest(void **state)
{
    struct user user = {0};
    (void)state;
    assert_int_equal(uid_of("joe-a-b", &user), 7001);
    assert_string_equal(user.dash, "-");
    assert_string_equal(user.ext, "a-b");
    assert_int_equal(uid_of("joe-list-owner", &user), 7003);
    assert_string_equal(user.ext, "l-owner");
    assert_int_equal(uid_of("joe-", &user), 7001);
    assert_string_equal(user.ext, "");
    user_free(&user);
}

static void
case_does_not_matter_but_is_kept_in_the_extension(void **state)
{
    struct user user = {0};
    (void)state;
    assert_int_equal(uid_of("JOE-FooBar", &user), 7001);
    assert_string_equal(user.ext, "FooBar");
    user_free(&user);
}

static void
a_record_that_is_none_is_a_temporary_error(void **state)
{
    struct user user = {0};
    (void)state;
    static const char *const locals[] = {"bad", "huge", "homeless"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(find(locals[i], &user), USER_ERROR);
        assert_int_equal(errno, EPROTO);
    }
    user_free(&user);
}

static void
a_table_without_the_record_of_last_bytes_is_an_error(void **state)
{
    struct user user = {0};
    (void)state;
    static const struct record records[] = {RECORD("!x\0", "x")};
    make_table("table", records, 1);
    assert_int_equal(find("joe", &user), USER_ERROR);
    assert_int_equal(errno, EPROTO);
    user_free(&user);
}

static void
a_stranger_is_not_known_here(void **state)
{
    struct user user = {0};
    struct cdb_table closed = {.fd = -1};
    (void)state;
    assert_int_equal(find("stranger", &user), USER_WAIT);
    assert_int_equal(find("", &user), USER_WAIT);
    assert_int_equal(user_table_find(&closed, "joe", &user), USER_WAIT);
    user_free(&user);
}

static void
takes_six_strings_and_nothing_else(void **state)
{
    static const char good[] = "joe\0"
                               "4294967294\0"
                               "0\0"
                               "/home/joe\0"
                               "-\0"
                               "ext";
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"", 0},
        {good, sizeof good - 1}, /* the last has no NUL */
        {good, sizeof good - 4}, /* five */
        {"joe\0"
         "4294967295\0"
         "1\0"
         "/\0"
         "\0"
         "",
         21}, /* -1: "no change" to setuid */
        {"joe\0"
         "-1\0"
         "1\0"
         "/\0"
         "\0"
         "",
         13},
        {"joe\0"
         "1x\0"
         "1\0"
         "/\0"
         "\0"
         "",
         13},
        {"joe\0"
         "\0"
         "1\0"
         "/\0"
         "\0"
         "",
         11},
    };
    struct user user = {0};
    (void)state;
    assert_int_equal(user_parse(&user, good, sizeof good), USER_FOUND);
    assert_int_equal(user.uid, 4294967294U);
    assert_int_equal(user.gid, 0);
    assert_string_equal(user.ext, "ext");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        errno = 0;
        assert_int_equal(user_parse(&user, bad[i].bytes, bad[i].len), USER_ERROR);
        assert_int_equal(errno, EPROTO);
    }
    user_free(&user);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_exact_entry_beats_a_wildcard, set_up,
                                        leave_folder),
        cmocka_unit_test_setup_teardown(the_longest_wildcard_wins_and_keeps_the_rest,
                                        set_up, leave_folder),
        cmocka_unit_test_setup_teardown(case_does_not_matter_but_is_kept_in_the_extension,
                                        set_up, leave_folder),
        cmocka_unit_test_setup_teardown(a_record_that_is_none_is_a_temporary_error,
                                        set_up, leave_folder),
        cmocka_unit_test_setup_teardown(
            a_table_without_the_record_of_last_bytes_is_an_error, set_up, leave_folder),
        cmocka_unit_test_setup_teardown(a_stranger_is_not_known_here, set_up,
                                        leave_folder),
        cmocka_unit_test(takes_six_strings_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
