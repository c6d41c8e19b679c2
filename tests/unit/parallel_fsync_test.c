#include "parallel_fsync.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <sys/wait.h>

#include "testing.h"

enum { MANY = 150 /* more than the kernel gets at a time */ };

static int
new_file(void)
{
    int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
    return fd;
}

static void
open_files(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fds[i] = new_file();
}

static void
close_files(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
}

static void
flushes_a_file_and_its_directory_at_the_same_time(void **state)
{
    (void)state;
    struct parallel_fsync parallel = {0};
    int fds[2] = {new_file(), open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    assert_true(parallel_fsync(&parallel, fds, 2));
    /* missing: a sandbox, or /proc/sys/fs/aio-max-nr */
    assert_true(parallel.context ? !parallel.is_missing : parallel.is_missing);
    close_files(fds, 2);
}

static void
flushes_nothing_one_and_very_many(void **state)
{
    (void)state;
    struct parallel_fsync parallel = {0};
    int fds[MANY];
    open_files(fds, MANY);
    assert_true(parallel_fsync(&parallel, fds, 0));
    assert_true(parallel_fsync(&parallel, fds, 1));
    assert_true(parallel.context == 0); /* one needs no company */
    assert_true(parallel_fsync(&parallel, fds, MANY));
    assert_true(parallel_fsync(&parallel, fds, MANY));
    close_files(fds, MANY);
}

static void
one_that_cannot_be_flushed_fails_them_all(void **state)
{
    (void)state;
    struct parallel_fsync parallel = {0};
    int fds[3];
    for (int bad = 0; bad < 3; bad++) {
        open_files(fds, 3);
        int saved = fds[bad];
        fds[bad] = -1;
        assert_false(parallel_fsync(&parallel, fds, 3));
        assert_int_equal(errno, EBADF);
        fds[bad] = saved;
        assert_true(parallel_fsync(&parallel, fds, 3)); /* that was last time */
        close_files(fds, 3);
    }
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_false(parallel_fsync(&parallel, ends, 2));
    assert_int_equal(errno, EINVAL);
    close_files(ends, 2);
}

static void
goes_on_one_by_one_where_the_kernel_has_no_such_requests(void **state)
{
    (void)state;
    struct parallel_fsync parallel = {.is_missing = true};
    int fds[3];
    open_files(fds, 3);
    assert_true(parallel_fsync(&parallel, fds, 3));
    assert_true(parallel.context == 0);
    close(fds[1]);
    assert_false(parallel_fsync(&parallel, fds, 3));
    assert_int_equal(errno, EBADF);
    close(fds[0]);
    close(fds[2]);
}

static void
a_child_process_is_not_misled_by_what_its_parent_began(void **state)
{
    (void)state;
    struct parallel_fsync parallel = {0};
    int fds[2], status;
    open_files(fds, 2);
    assert_true(parallel_fsync(&parallel, fds, 2));
    pid_t pid = fork();
    if (pid == 0)
        _exit(parallel_fsync(&parallel, fds, 2) ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(parallel_fsync(&parallel, fds, 2));
    close_files(fds, 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flushes_a_file_and_its_directory_at_the_same_time),
        cmocka_unit_test(flushes_nothing_one_and_very_many),
        cmocka_unit_test(one_that_cannot_be_flushed_fails_them_all),
        cmocka_unit_test(goes_on_one_by_one_where_the_kernel_has_no_such_requests),
        cmocka_unit_test(a_child_process_is_not_misled_by_what_its_parent_began),
    };
    return cmocka_run_group_tests(tests, enter_folder, NULL);
}
