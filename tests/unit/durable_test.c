#include "durable.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/magic.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include <cmocka.h>

enum { SOME = 8, MANY = 24 /* for which fsync is not always cheaper */ };

static char directory[] =
    "/var/tmp/durable_test.XXXXXX"; /* a disk, where /tmp may be memory */

static const char now[] = "6.1.0-13-amd64";
static const char *release = now; /* of the kernel, as uname() says */

int
uname(struct utsname *name)
{
    *name = (struct utsname){.sysname = "Linux"};
    strcpy(name->release, release);
    return 0;
}

static int
make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static int
remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

/* In a container the disk may be an overlayfs, which gets no syncfs. */
static void
skip_without_syncfs(void)
{
    struct statfs status;
    assert_int_equal(statfs(directory, &status), 0);
    if ((unsigned long)status.f_type == OVERLAYFS_SUPER_MAGIC)
        skip();
}

static int
new_file(void)
{
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
    return fd;
}

static void
open_many(int *fds, int count)
{
    for (int i = 0; i < count; i++)
        fds[i] = new_file();
}

static void
close_many(const int *fds, int count)
{
    for (int i = 0; i < count; i++)
        close(fds[i]);
}

static void
nothing_to_flush_is_a_success(void **state)
{
    (void)state;
    struct durable durable = {0};
    assert_true(durable_flush(&durable, NULL, 0));
}

static void
flushes_a_lone_file_and_its_directory_and_learns_the_cost(void **state)
{
    (void)state;
    struct durable durable = {0};
    int fds[2] = {new_file(), open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    assert_true(durable_flush(&durable, fds, 2));
    assert_true(durable.fsync_us > 0);
    close(fds[0]);
    close(fds[1]);
}

static void
flushes_some_files_one_by_one_at_the_same_time(void **state)
{
    (void)state;
    struct durable durable = {0};
    int fds[SOME];
    open_many(fds, SOME);
    assert_true(durable_flush(&durable, fds, 1)); /* learns the device */
    durable.batches = 5;
    assert_true(durable_flush(&durable, fds, SOME));
    assert_int_equal(durable.batches, 0); /* not by syncfs */
    assert_true(durable.parallel.context || durable.parallel.is_missing);
    close_many(fds, SOME);
}

static void
flushes_many_files(void **state)
{
    (void)state;
    struct durable durable = {0};
    int fds[MANY];
    skip_without_syncfs();
    open_many(fds, MANY);
    assert_true(durable_flush(&durable, fds, MANY));
    durable.no_syncfs_until = 0; /* whatever others have just written here */
    durable.fsync_us = UINT32_MAX;
    assert_true(durable_flush(&durable, fds, MANY));
    assert_int_equal(durable.batches, 1); /* by syncfs */
    close_many(fds, MANY);
}

static void
uses_no_syncfs_of_a_kernel_where_it_keeps_quiet_about_errors(void **state)
{
    (void)state;
    static const struct {
        const char *release;
        unsigned int batches; /* by syncfs */
    } kernels[] = {{"5.7.19", 0},  {"5.8.0", 0},   {"5.10.0-30-amd64", 0},
                   {"5.16.20", 0}, {"4.20.17", 0}, {"6", 0},
                   {"odd", 0},     {"5.17.0", 1},  {"6.1.0-13", 1},
                   {"10.0.1", 1},  {"6.0-rc1", 1}};
    int fds[MANY];
    skip_without_syncfs();
    open_many(fds, MANY);
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        struct durable durable = {.is_one_device = true, .fsync_us = UINT32_MAX};
        release = kernels[i].release;
        assert_true(durable_flush(&durable, fds, MANY));
        assert_int_equal(durable.batches, kernels[i].batches);
    }
    release = now;
    close_many(fds, MANY);
}

static void
leaves_syncfs_alone_for_a_while_after_a_dear_one(void **state)
{
    (void)state;
    int fds[MANY];
    skip_without_syncfs();
    open_many(fds, MANY);
    struct durable durable = {0};
    assert_true(durable_flush(&durable, fds, 1)); /* learns the device */
    durable.fsync_us = 1; /* so cheap that any syncfs of new data is dearer */
    assert_int_equal(pwrite(fds[1], "y", 1, 0), 1);
    assert_true(durable_flush(&durable, fds, MANY));
    assert_true(durable.no_syncfs_until > 0);
    int64_t until = durable.no_syncfs_until = INT64_MAX;
    durable.batches = 5;
    assert_true(durable_flush(&durable, fds, MANY));
    assert_true(durable.no_syncfs_until == until);
    assert_int_equal(durable.batches, 0); /* by fsync: measured again */
    close_many(fds, MANY);
}

static void
never_flushes_together_what_the_caller_wants_file_by_file(void **state)
{
    (void)state;
    int fds[MANY];
    open_many(fds, MANY);
    struct durable durable = {.is_each_file = true, .batches = 5};
    assert_true(durable_flush(&durable, fds, MANY));
    assert_true(durable.is_each_file); /* kept when the device is learned */
    durable.batches = 5;
    assert_true(durable_flush(&durable, fds, MANY));
    assert_int_equal(durable.batches, 0); /* a flush of each begins to count anew */
    assert_true(durable.parallel.context == 0);
    close_many(fds, MANY);
}

static void
handles_files_on_two_file_systems(void **state)
{
    (void)state;
    int fds[MANY + 2];
    struct durable durable = {0};
    open_many(fds, MANY);
    fds[MANY] = open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fds[MANY + 1] = new_file();
    assert_true(fds[MANY] >= 0);
    assert_true(durable_flush(&durable, fds, MANY + 2));
    close_many(fds, MANY);
    close(fds[MANY]);
    close(fds[MANY + 1]);
}

static void
reports_an_error_of_any_descriptor(void **state)
{
    (void)state;
    struct durable durable = {0};
    int fds[3] = {new_file(), -1, new_file()};
    assert_false(durable_flush(&durable, fds, 3));
    assert_int_equal(errno, EBADF);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_false(durable_flush(&durable, ends, 1)); /* a pipe cannot be flushed */
    assert_int_equal(errno, EINVAL);
    close(ends[0]);
    close(ends[1]);
    close(fds[0]);
    close(fds[2]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_to_flush_is_a_success),
        cmocka_unit_test(flushes_a_lone_file_and_its_directory_and_learns_the_cost),
        cmocka_unit_test(flushes_some_files_one_by_one_at_the_same_time),
        cmocka_unit_test(flushes_many_files),
        cmocka_unit_test(uses_no_syncfs_of_a_kernel_where_it_keeps_quiet_about_errors),
        cmocka_unit_test(leaves_syncfs_alone_for_a_while_after_a_dear_one),
        cmocka_unit_test(never_flushes_together_what_the_caller_wants_file_by_file),
        cmocka_unit_test(handles_files_on_two_file_systems),
        cmocka_unit_test(reports_an_error_of_any_descriptor),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
