#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spawn_job.h"

/* Send a packet to ourselves and take the job out of it. */
static struct spawn_job *
take(const char *strings, size_t len, const char *body, int fd)
{
    int sockets[2];
    struct handoff packet = {0};
    struct handoff_parts parts = {.strings = strings,
                                  .strings_len = len,
                                  .body = body,
                                  .body_len = strlen(body),
                                  .fds = &fd,
                                  .fd_count = fd >= 0};
    assert_true(handoff_pair(sockets));
    assert_int_equal(handoff_send(sockets[0], &parts), HANDOFF_DONE);
    assert_int_equal(handoff_receive(sockets[1], &packet), HANDOFF_DONE);
    struct spawn_job *job = spawn_job_take(&packet, "/tmp");
    assert_non_null(job);
    handoff_free(&packet);
    close(sockets[0]);
    close(sockets[1]);
    return job;
}

#define TAKE(strings, body) take(strings, sizeof strings, body, -1)

static void
a_job_has_its_strings_recipients_and_message(void **state)
{
    (void)state;
    struct spawn_job *job = TAKE("job\0"
                                 "7\0"
                                 "123\0"
                                 "3\0"
                                 "s@x\0"
                                 "d\0"
                                 "h\0"
                                 "a@b\0"
                                 "c@d",
                                 "abc");
    assert_null(job->verdict);
    assert_string_equal(job->number, "7");
    assert_string_equal(job->id, "123");
    assert_string_equal(job->sender, "s@x");
    assert_string_equal(job->destination, "d");
    assert_string_equal(job->host, "h");
    assert_int_equal(job->recipient_count, 2);
    assert_string_equal(job->recipients, "a@b");
    assert_string_equal(job->recipients + 4, "c@d");
    assert_int_equal(job->message.len, 3);
    assert_memory_equal(job->message.bytes, "abc", 3);
    spawn_job_free(job);
}

static void
a_mangled_job_has_a_temporary_verdict(void **state)
{
    (void)state;
    struct spawn_job *job = TAKE("job\0"
                                 "7\0"
                                 "123\0"
                                 "3\0"
                                 "s@x\0"
                                 "d\0"
                                 "h",
                                 "abc");
    assert_int_equal(job->verdict[0], 'Z');
    assert_string_equal(job->number, "7");
    assert_int_equal(job->recipient_count, 1);
    spawn_job_free(job);
    job = TAKE("job\0"
               "7\0"
               "123\0"
               "x\0"
               "s@x\0"
               "d\0"
               "h\0"
               "a\0"
               "b",
               "abc");
    assert_int_equal(job->verdict[0], 'Z');
    assert_int_equal(job->recipient_count, 2);
    spawn_job_free(job);
    job = TAKE("job\0"
               "7\0"
               "123\0"
               "4\0"
               "s@x\0"
               "d\0"
               "h\0"
               "a",
               "abc");
    assert_int_equal(job->verdict[0], 'Z'); /* the length is not the body's */
    spawn_job_free(job);
}

static void
a_job_without_a_number_is_nobodys(void **state)
{
    (void)state;
    struct spawn_job *job = TAKE("job\0"
                                 "x\0"
                                 "1",
                                 "");
    assert_null(job->number);
    assert_non_null(job->verdict);
    spawn_job_free(job);
    job = TAKE("nonsense", "");
    assert_null(job->number);
    spawn_job_free(job);
    job = take("", 0, "x", -1);
    assert_null(job->number);
    spawn_job_free(job);
}

static const char strings_of_file[] = "job\0"
                                      "7\0"
                                      "123\0"
                                      "100000\0"
                                      "s@x\0"
                                      "d\0"
                                      "h\0"
                                      "a@b";

static void
a_message_in_a_file_is_copied_and_cannot_be_written(void **state)
{
    (void)state;
    static char text[100100];
    int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    memset(text, 'm', sizeof text);
    memset(text + 100000, 'E',
           100); /* the envelope, which is not for delivery processes */
    assert_int_equal(write(fd, text, sizeof text), sizeof text);
    struct spawn_job *job = take(strings_of_file, sizeof strings_of_file, "", fd);
    assert_null(job->verdict);
    assert_int_equal(job->message.len, 100000);
    static char copy[sizeof text];
    assert_int_equal(pread(job->message.fd, copy, sizeof copy, 0), 100000);
    assert_memory_equal(copy, text, 100000);
    assert_int_equal(lseek(job->message.fd, 0, SEEK_END), 100000);
    assert_int_equal(write(job->message.fd, "x", 1), -1);
    spawn_job_free(job);
    close(fd);
}

static void
a_descriptor_that_is_no_whole_file_is_refused(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct spawn_job *job = take(strings_of_file, sizeof strings_of_file, "", ends[0]);
    assert_int_equal(job->verdict[0], 'Z');
    spawn_job_free(job);
    close(ends[0]);
    close(ends[1]);
    int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    assert_int_equal(write(fd, "short", 5), 5);
    job = take(strings_of_file, sizeof strings_of_file, "", fd);
    assert_int_equal(job->verdict[0], 'Z');
    spawn_job_free(job);
    close(fd);
}

static void
a_line_keeps_its_order(void **state)
{
    struct spawn_line line = {0};
    struct spawn_job jobs[3] = {0};
    (void)state;
    for (int i = 0; i < 3; i++)
        spawn_line_append(&line, &jobs[i]);
    for (int i = 0; i < 3; i++)
        assert_ptr_equal(spawn_line_take(&line), &jobs[i]);
    assert_null(spawn_line_take(&line));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_has_its_strings_recipients_and_message),
        cmocka_unit_test(a_mangled_job_has_a_temporary_verdict),
        cmocka_unit_test(a_job_without_a_number_is_nobodys),
        cmocka_unit_test(a_message_in_a_file_is_copied_and_cannot_be_written),
        cmocka_unit_test(a_descriptor_that_is_no_whole_file_is_refused),
        cmocka_unit_test(a_line_keeps_its_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
