/* lib/libc_compat is compiled for musl only; here its functions get names of their own,
 * beside those of glibc. */
#define __memcpy_chk compat_memcpy_chk
#define __memmove_chk compat_memmove_chk
#define __memset_chk compat_memset_chk
#define __explicit_bzero_chk compat_explicit_bzero_chk
#define __vsnprintf_chk compat_vsnprintf_chk
#define __open_2 compat_open_2
#define __openat_2 compat_openat_2
#define __fdelt_chk compat_fdelt_chk
#define arc4random_buf compat_arc4random_buf
#define LIBC_COMPAT_TEST
#include "libc_compat.c"

#include <signal.h>

#include <sys/wait.h>

#include "testing.h"

enum { ROOM = 8 };

static char place[ROOM];

static int
format(size_t max, size_t room, const char *pattern, ...)
{
    va_list arguments;
    va_start(arguments, pattern);
    int len = compat_vsnprintf_chk(place, max, 1, room, pattern, arguments);
    va_end(arguments);
    return len;
}

static void
functions_do_what_their_plain_namesakes_do(void **state)
{
    (void)state;
    assert_ptr_equal(compat_memset_chk(place, 'x', ROOM, ROOM), place);
    assert_memory_equal(place, "xxxxxxxx", ROOM);
    assert_ptr_equal(compat_memcpy_chk(place, "abcd", 4, ROOM), place);
    assert_ptr_equal(compat_memmove_chk(place + 1, place, 4, ROOM - 1), place + 1);
    assert_memory_equal(place, "aabcdxxx", ROOM);
    compat_explicit_bzero_chk(place, 2, ROOM);
    assert_memory_equal(place, "\0\0bcdxxx", ROOM);
    assert_int_equal(format(ROOM, ROOM, "%d-%s", 12, "abcdefgh"), 11);
    assert_string_equal(place, "12-abcd");
    assert_int_equal(compat_fdelt_chk(0), 0);
    assert_int_equal(compat_fdelt_chk(FD_SETSIZE - 1), FD_SETSIZE / 64 - 1);
}

static void
opens_files_that_are_there(void **state)
{
    char text[4] = "";
    (void)state;
    write_file("file", "abc");
    int fd = compat_open_2("file", O_RDONLY);
    assert_int_equal(read(fd, text, 3), 3);
    assert_string_equal(text, "abc");
    close(fd);
    fd = compat_openat_2(AT_FDCWD, "file", O_RDONLY);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(compat_open_2("missing", O_RDONLY), -1);
}

static void
random_bytes_fill_the_whole_room(void **state)
{
    unsigned char bytes[1000] = {0};
    unsigned int seen = 0;
    (void)state;
    for (int i = 0; i < 10; i++) {
        compat_arc4random_buf(bytes, sizeof bytes - 1);
        assert_int_equal(bytes[sizeof bytes - 1], 0);
        seen |= bytes[0];
        seen |= (unsigned int)bytes[sizeof bytes - 2] << 8;
    }
    /* each end was other than 0 in ten tries, but for a chance of 1 in 10^24 */
    assert_true((seen & 255) && seen >> 8);
}

static void
too_long_a_copy(void)
{
    compat_memcpy_chk(place, "abcdefghi", 9, ROOM);
}

static void
too_long_a_move(void)
{
    compat_memmove_chk(place, "abcdefghi", 9, ROOM);
}

static void
too_long_a_fill(void)
{
    compat_memset_chk(place, 0, ROOM + 1, ROOM);
}

static void
too_long_a_wipe(void)
{
    compat_explicit_bzero_chk(place, ROOM + 1, ROOM);
}

static void
too_long_a_format(void)
{
    format(ROOM + 1, ROOM, "x");
}

static void
creating_without_a_mode(void)
{
    compat_open_2("new", O_WRONLY | O_CREAT);
}

static void
creating_there_without_a_mode(void)
{
    compat_openat_2(AT_FDCWD, "new", O_WRONLY | O_CREAT);
}

static void
a_descriptor_beyond_the_set(void)
{
    compat_fdelt_chk(FD_SETSIZE);
}

static void
a_negative_descriptor(void)
{
    compat_fdelt_chk(-1);
}

static void
what_does_not_fit_ends_the_program(void **state)
{
    static void (*const misuses[])(void) = {
        too_long_a_copy,
        too_long_a_move,
        too_long_a_fill,
        too_long_a_wipe,
        too_long_a_format,
        creating_without_a_mode,
        creating_there_without_a_mode,
        a_descriptor_beyond_the_set,
        a_negative_descriptor,
    };
    (void)state;
    for (size_t i = 0; i < sizeof misuses / sizeof *misuses; i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            signal(SIGABRT, SIG_DFL);
            misuses[i]();
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGABRT);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_do_what_their_plain_namesakes_do),
        cmocka_unit_test(opens_files_that_are_there),
        cmocka_unit_test(random_bytes_fill_the_whole_room),
        cmocka_unit_test(what_does_not_fit_ends_the_program),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
