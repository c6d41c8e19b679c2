#include "source.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/socket.h>

#include <cmocka.h>

static void
memory_is_quick(void **state)
{
    (void)state;
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(write(fd, "0123456789", 10), 10);
    assert_int_equal(source_judge(fd, 10, 0), SOURCE_QUICK);
    assert_int_equal(source_judge(fd, 11, 0), SOURCE_REFUSED); /* not there */
    close(fd);
}

static void
a_file_of_the_queues_own_mount_is_taken(void **state)
{
    (void)state;
    int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_true(source_mount(fd) > 0);
    assert_true(source_judge(fd, 0, source_mount(fd)) != SOURCE_REFUSED);
    close(fd);
}

static void
what_could_block_is_refused(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(source_judge(ends[0], 0, 0), SOURCE_REFUSED);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(source_judge(ends[0], 0, 0), SOURCE_REFUSED);
    close(ends[0]);
    close(ends[1]);
    int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    assert_int_equal(source_judge(zero, 0, 0), SOURCE_REFUSED);
    close(zero);
    int folder = open("/tmp", O_RDONLY | O_CLOEXEC);
    assert_int_equal(source_judge(folder, 0, 0), SOURCE_REFUSED);
    close(folder);
    int process = open("/proc/self/status", O_RDONLY | O_CLOEXEC); /* no disk */
    assert_int_equal(source_judge(process, 0, 0), SOURCE_REFUSED);
    close(process);
    assert_int_equal(source_judge(-1, 0, 0), SOURCE_REFUSED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_quick),
        cmocka_unit_test(a_file_of_the_queues_own_mount_is_taken),
        cmocka_unit_test(what_could_block_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
