#include "mbox_entry.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "text.h"

static void
expect(const char *message, const char *wanted)
{
    char storage[16], got[256] = "";
    buffer out;
    int fd = memfd_create("mbox", MFD_CLOEXEC);

    buffer_init(&out, &buffer_write, fd, storage, sizeof storage);
    assert_true(mbox_put_message(&out, message, strlen(message)));
    assert_true(buffer_flush(&out));
    assert_true(pread(fd, got, sizeof got - 1, 0) >= 0);
    assert_string_equal(got, wanted);
    close(fd);
}

static void
quotes_from_lines_reversibly(void **state)
{
    (void)state;
    expect("From x\n", ">From x\n\n");
    expect("a\nFrom x\n>From y\n>>>From z\n", "a\n>From x\n>>From y\n>>>>From z\n\n");
    expect("Fromx\n From x\nfrom x\nFrom\n>", "Fromx\n From x\nfrom x\nFrom\n>\n\n");
}

static void
ends_every_message_with_an_empty_line(void **state)
{
    (void)state;
    expect("", "\n");
    expect("a", "a\n\n");
    expect("a\n", "a\n\n");
    expect("a\n\n", "a\n\n\n");
}

static void
makes_a_from_line_with_two_digits_for_the_day(void **state)
{
    stralloc line = STRALLOC_ZERO;
    (void)state;
    assert_true(mbox_make_from_(&line, "a b\tc\nd@x", 1767348184));
    assert_string_equal(line.s, "From a-b-c-d@x Fri Jan 02 10:03:04 2026\n");
    assert_true(mbox_make_from_(&line, "", 0));
    assert_string_equal(line.s, "From MAILER-DAEMON Thu Jan 01 00:00:00 1970\n");
    stralloc_free(&line);
}

static void
expect_from(const char *message, const char *wanted)
{
    char storage[16], got[256] = "";
    buffer out;
    int fd = memfd_create("mbox", MFD_CLOEXEC);

    buffer_init(&out, &buffer_write, fd, storage, sizeof storage);
    assert_true(mbox_put_found_from_(&out, message, strlen(message), 0));
    assert_true(buffer_flush(&out));
    assert_true(pread(fd, got, sizeof got - 1, 0) >= 0);
    assert_string_equal(got, wanted);
    close(fd);
}

static void
takes_the_sender_from_a_return_path_on_top(void **state)
{
    (void)state;
    expect_from("Return-Path: <a@b>\nx", "From a@b Thu Jan 01 00:00:00 1970\n");
    expect_from("Return-Path: <>\n", "From MAILER-DAEMON Thu Jan 01 00:00:00 1970\n");
    expect_from("Return-Path: <", "From MAILER-DAEMON Thu Jan 01 00:00:00 1970\n");
    expect_from("X: y\nReturn-Path: <a@b>\n",
                "From MAILER-DAEMON Thu Jan 01 00:00:00 1970\n");
    expect_from("", "From MAILER-DAEMON Thu Jan 01 00:00:00 1970\n");
}

static void
expect_separator(const char *before, const char *wanted)
{
    char storage[16], got[16] = "";
    buffer out;
    int mbox = memfd_create("mbox", MFD_CLOEXEC);
    int fd = memfd_create("separator", MFD_CLOEXEC);

    assert_int_equal(write(mbox, before, strlen(before)), strlen(before));
    buffer_init(&out, &buffer_write, fd, storage, sizeof storage);
    assert_true(mbox_put_separator(&out, mbox, (off_t)strlen(before)));
    assert_true(buffer_flush(&out));
    assert_true(pread(fd, got, sizeof got - 1, 0) >= 0);
    assert_string_equal(got, wanted);
    close(mbox);
    close(fd);
}

static void
separates_what_was_cut_off_by_an_empty_line(void **state)
{
    (void)state;
    expect_separator("", "");
    expect_separator("\n", "");
    expect_separator("x", "\n\n");
    expect_separator("Fr", "\n\n");
    expect_separator("x\n", "\n");
    expect_separator("x\n\n", "");
    expect_separator("x\n\ny", "\n\n");
}

static void
puts_nothing_behind_what_may_not_be_read(void **state)
{
    char storage[16];
    buffer out;
    (void)state;

    int fd = open("/proc/self/fd", O_PATH | O_CLOEXEC);
    buffer_init(&out, &buffer_write, -1, storage, sizeof storage);
    assert_true(mbox_put_separator(&out, fd, 5));
    assert_int_equal(buffer_len(&out), 0);
    close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotes_from_lines_reversibly),
        cmocka_unit_test(ends_every_message_with_an_empty_line),
        cmocka_unit_test(makes_a_from_line_with_two_digits_for_the_day),
        cmocka_unit_test(takes_the_sender_from_a_return_path_on_top),
        cmocka_unit_test(separates_what_was_cut_off_by_an_empty_line),
        cmocka_unit_test(puts_nothing_behind_what_may_not_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
