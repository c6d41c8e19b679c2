/* The folders of the queue: made where they are missing, and on the disk in any case. */
#include "queue_folders.h"

#include <fcntl.h>

#include "testing.h"

enum { FLUSHED_MAX = 64 };

static ino_t flushed[FLUSHED_MAX];
static unsigned int flush_count;

/* The disk. */
int
fsync(int fd)
{
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    assert_true(flush_count < FLUSHED_MAX);
    flushed[flush_count++] = status.st_ino;
    return 0;
}

static int
begin(void **state)
{
    flush_count = 0;
    return enter_home(state);
}

static bool
is_flushed(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    for (unsigned int i = 0; i < flush_count; i++)
        if (flushed[i] == status.st_ino)
            return true;
    return false;
}

static mode_t
mode_of(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 07777;
}

static void
makes_what_is_missing_and_flushes_it(void **state)
{
    (void)state;
    assert_true(queue_folders_make());
    assert_int_equal(mode_of("queue/mess"), 0700);
    assert_int_equal(mode_of("queue/mess/0"), 0700);
    assert_int_equal(mode_of("queue/mess/22"), 0700);
    assert_int_equal(mode_of("queue/bad"), 0700);
    assert_int_equal(mode_of("queue/taking"), 0700);
    assert_int_equal(mode_of("queue/drop"), 01733);
    assert_true(is_flushed("queue") && is_flushed("queue/mess"));
}

static void
flushes_what_an_installer_or_a_killed_predecessor_has_made(void **state)
{
    (void)state;
    assert_true(queue_folders_make());
    flush_count = 0;
    assert_true(queue_folders_make());
    assert_true(is_flushed("queue") && is_flushed("queue/mess"));
}

static void
fails_where_a_folder_cannot_be_made(void **state)
{
    (void)state;
    assert_int_equal(rmdir("queue"), 0);
    assert_false(queue_folders_make());
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(makes_what_is_missing_and_flushes_it, begin,
                                        leave_folder),
        cmocka_unit_test_setup_teardown(
            flushes_what_an_installer_or_a_killed_predecessor_has_made, begin,
            leave_folder),
        cmocka_unit_test_setup_teardown(fails_where_a_folder_cannot_be_made, begin,
                                        leave_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
