#include "message.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>

#include <cmocka.h>

enum { LARGEST = 3 * 1024 * 1024 };

static const size_t lengths[] = {
    0, 1, HANDOFF_BODY_MAX, HANDOFF_BODY_MAX + 1, 1024 * 1024, 1024 * 1024 + 1, LARGEST};
enum { LENGTHS = sizeof lengths / sizeof *lengths };

static char *
pattern(void)
{
    char *bytes = malloc(LARGEST);
    assert_non_null(bytes);
    for (size_t i = 0; i < LARGEST; i++)
        bytes[i] = (char)(i % 253);
    return bytes;
}

static int
file_of(const char *bytes, size_t len, const char *more)
{
    int fd = memfd_create("queue file", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    assert_int_equal(write(fd, more, strlen(more)), strlen(more));
    return fd;
}

static void
assert_is(const struct message *message, const char *bytes, size_t len)
{
    assert_int_equal(message->len, len);
    if (len)
        assert_memory_equal(message->bytes, bytes, len);
}

static void
a_copy_holds_the_message_and_only_it(void **state)
{
    (void)state;
    char *bytes = pattern();
    struct message message;
    for (int i = 0; i < LENGTHS; i++) {
        int file = file_of(bytes, lengths[i], "secret recipients");
        assert_true(message_copy(&message, file, lengths[i], "/tmp"));
        assert_int_equal(message.len, lengths[i]);
        if (lengths[i] <= HANDOFF_BODY_MAX)
            assert_is(&message, bytes, lengths[i]);
        else
            assert_int_equal(lseek(message.fd, 0, SEEK_END), lengths[i]);
        message_close(&message);
        close(file);
    }
    free(bytes);
}

static void
travels_through_a_handoff(void **state)
{
    (void)state;
    char *bytes = pattern();
    struct handoff packet = {0};
    int ends[2];
    assert_true(handoff_pair(ends));
    for (int i = 0; i < LENGTHS; i++) {
        struct handoff_parts parts = {.strings = "job", .strings_len = 4};
        struct message sent, got;
        int file = file_of(bytes, lengths[i], "");
        assert_true(message_copy(&sent, file, lengths[i], "/tmp"));
        message_attach(&sent, &parts);
        assert_int_equal(handoff_send(ends[0], &parts), HANDOFF_DONE);
        assert_int_equal(handoff_receive(ends[1], &packet), HANDOFF_DONE);
        assert_true(message_take(&got, &packet));
        handoff_free(&packet);
        assert_is(&got, bytes, lengths[i]);
        message_close(&sent);
        message_close(&got);
        close(file);
    }
    close(ends[0]);
    close(ends[1]);
    free(bytes);
}

static void
each_program_gets_a_descriptor_at_the_beginning(void **state)
{
    (void)state;
    char *bytes = pattern();
    char *read_back = malloc(LARGEST);
    struct message message;
    assert_non_null(read_back);
    for (int i = 0; i < LENGTHS; i++) {
        int file = file_of(bytes, lengths[i], "");
        assert_true(message_copy(&message, file, lengths[i], "/tmp"));
        for (int round = 0; round < 2; round++) {
            int fd = message_open(&message);
            assert_true(fd >= 0);
            assert_int_equal(read(fd, read_back, LARGEST), lengths[i]);
            if (lengths[i])
                assert_memory_equal(read_back, bytes, lengths[i]);
            assert_int_equal(write(fd, "x", 1), -1);
            close(fd);
        }
        message_close(&message);
        close(file);
    }
    free(read_back);
    free(bytes);
}

static void
a_file_shorter_than_promised_is_an_error(void **state)
{
    (void)state;
    char *bytes = pattern();
    struct message message;
    int file = file_of(bytes, 100, "");
    assert_false(message_copy(&message, file, 101, "/tmp"));
    assert_int_equal(errno, EIO);
    assert_false(message_copy(&message, file, HANDOFF_BODY_MAX + 1, "/tmp"));
    assert_false(message_copy(&message, file, LARGEST, "/tmp"));
    close(file);
    free(bytes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_holds_the_message_and_only_it),
        cmocka_unit_test(travels_through_a_handoff),
        cmocka_unit_test(each_program_gets_a_descriptor_at_the_beginning),
        cmocka_unit_test(a_file_shorter_than_promised_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
