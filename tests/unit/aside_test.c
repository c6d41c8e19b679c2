#include "aside.h"

#include <fcntl.h>

#include "testing.h"

static void
put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void
assert_holds(const char *path, char want)
{
    char got = 0;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, &got, 1), 1);
    assert_int_equal(got, want);
    close(fd);
}

static int
enter_queue(void **state)
{
    return enter_home(state) == 0 && mkdir("queue/bad", 0700) == 0 ? 0 : -1;
}

static void
a_file_of_the_same_name_is_kept(void **state)
{
    (void)state;
    for (const char *text = "abc"; *text; text++) {
        put("queue/torn", (const char[]){*text, '\0'});
        assert_true(aside_move("queue/torn", "drop-", "torn"));
    }
    assert_holds("queue/bad/drop-torn", 'a');
    assert_holds("queue/bad/drop-torn.2", 'b');
    assert_holds("queue/bad/drop-torn.3", 'c');
}

static void
a_symbolic_link_to_nothing_is_kept(void **state)
{
    char target[8];
    (void)state;
    assert_int_equal(symlink("nowhere", "queue/torn"), 0);
    assert_true(aside_move("queue/torn", "drop-", "torn"));
    put("queue/torn", "a");
    assert_true(aside_move("queue/torn", "drop-", "torn"));
    assert_int_equal(readlink("queue/bad/drop-torn", target, sizeof target), 7);
    assert_holds("queue/bad/drop-torn.2", 'a');
}

static void
the_longest_names_have_room_for_a_number(void **state)
{
    char name[256], kept[300];
    (void)state;
    memset(name, 'n', 255);
    name[255] = '\0';
    for (const char *text = "ab"; *text; text++) {
        put("queue/torn", (const char[]){*text, '\0'});
        assert_true(aside_move("queue/torn", "drop-", name));
    }
    snprintf(kept, sizeof kept, "queue/bad/drop-%.240s", name);
    assert_holds(kept, 'a');
    snprintf(kept, sizeof kept, "queue/bad/drop-%.240s.2", name);
    assert_holds(kept, 'b');
}

static void
a_missing_folder_is_no_reason_to_think_it_has_gone(void **state)
{
    (void)state;
    put("queue/torn", "x");
    assert_int_equal(rmdir("queue/bad"), 0);
    assert_false(aside_move("queue/torn", "", "torn"));
    assert_holds("queue/torn", 'x');
}

static void
what_has_gone_is_not_an_error_and_what_cannot_be_moved_is(void **state)
{
    (void)state;
    assert_true(aside_move("queue/nothing", "", "nothing"));
    put("queue/torn", "x");
    assert_int_equal(rename("queue/bad", "queue/elsewhere"), 0);
    put("queue/bad", "no folder");
    assert_false(aside_move("queue/torn", "", "torn"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_of_the_same_name_is_kept, enter_queue,
                                        leave_folder),
        cmocka_unit_test_setup_teardown(a_symbolic_link_to_nothing_is_kept, enter_queue,
                                        leave_folder),
        cmocka_unit_test_setup_teardown(
            a_missing_folder_is_no_reason_to_think_it_has_gone, enter_queue,
            leave_folder),
        cmocka_unit_test_setup_teardown(the_longest_names_have_room_for_a_number,
                                        enter_queue, leave_folder),
        cmocka_unit_test_setup_teardown(
            what_has_gone_is_not_an_error_and_what_cannot_be_moved_is, enter_queue,
            leave_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
