/* A file of queue/mess that is found to be no message: what may be set aside. */
#include "mail_file.h"

#include <errno.h>
#include <fcntl.h>

#include <sys/file.h>
#include <sys/resource.h>

#include "crc32c.h"
#include "testing.h"

enum { ID = 1763635154123456 };

static const char message[] = "Subject: x\n\n";
static const char records[] = "Fme@a\0Tyou@b";
enum { MESSAGE_LEN = sizeof message - 1, RECORDS_LEN = sizeof records };

static char path[QUEUE_FILE_PATH_MAX], aside[QUEUE_FILE_PATH_MAX];

static int
begin(void **state)
{
    char folder[QUEUE_FILE_PATH_MAX];

    snprintf(folder, sizeof folder, "queue/mess/%u", queue_file_folder(ID));
    queue_file_path(path, ID);
    snprintf(aside, sizeof aside, "queue/bad/%llu", (unsigned long long)ID);
    return enter_home(state) == 0 && mkdir("queue/mess", 0700) == 0 &&
                   mkdir("queue/bad", 0700) == 0 && mkdir(folder, 0700) == 0
               ? 0
               : -1;
}

static void
write_message(void)
{
    const struct queue_header header = {.next_try_s = 1};
    char head[QUEUE_FILE_HEADER_LEN], footer[QUEUE_FILE_FOOTER_LEN];
    uint32_t crc = crc32c_update(0, message, MESSAGE_LEN);

    crc = crc32c_update(crc, records, RECORDS_LEN);
    assert_true(queue_file_format_header(head, &header));
    assert_true(
        queue_file_format_footer(footer, MESSAGE_LEN, sizeof head + RECORDS_LEN, crc));
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(message, 1, MESSAGE_LEN, file), MESSAGE_LEN);
    assert_int_equal(fwrite(head, 1, sizeof head, file), sizeof head);
    assert_int_equal(fwrite(records, 1, RECORDS_LEN, file), RECORDS_LEN);
    assert_int_equal(fwrite(footer, 1, sizeof footer, file), sizeof footer);
    assert_int_equal(fclose(file), 0);
}

static bool
is_there(const char *name)
{
    struct stat status;
    return lstat(name, &status) == 0;
}

static void
sets_aside_what_is_no_message(void **state)
{
    (void)state;
    write_file_bytes(path, "x", 1);
    assert_true(mail_set_aside(ID));
    assert_true(is_there(aside) && !is_there(path));
}

static void
sets_aside_a_symbolic_link(void **state)
{
    (void)state;
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_true(mail_set_aside(ID));
    assert_true(is_there(aside) && !is_there(path));
}

static void
takes_for_set_aside_what_has_gone(void **state)
{
    (void)state;
    assert_true(mail_set_aside(ID)); /* qmail-queued was quicker */
}

static void
fails_without_the_folder(void **state)
{
    (void)state;
    write_file_bytes(path, "x", 1);
    assert_int_equal(rmdir("queue/bad"), 0);
    assert_false(mail_set_aside(ID));
    assert_int_equal(errno, ENOENT);
    assert_true(is_there(path));
}

static void
leaves_a_message_that_has_been_completed_meanwhile(void **state)
{
    (void)state;
    write_message();
    assert_false(mail_set_aside(ID));
    assert_int_equal(errno, EWOULDBLOCK);
    assert_true(is_there(path));
}

static void
leaves_a_file_that_somebody_is_writing(void **state)
{
    (void)state;
    write_file_bytes(path, "x", 1);
    int fd = open(path, O_RDONLY);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_false(mail_set_aside(ID));
    assert_int_equal(errno, EWOULDBLOCK);
    assert_true(is_there(path));
    close(fd);
}

static void
leaves_a_file_that_cannot_be_opened_now(void **state)
{
    (void)state;
    struct rlimit limit, none;
    write_message();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){.rlim_cur = 3, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    bool moved = mail_set_aside(ID);
    int error = errno;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_false(moved);
    assert_int_equal(error, EMFILE);
    assert_true(is_there(path));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sets_aside_what_is_no_message, begin,
                                        leave_folder),
        cmocka_unit_test_setup_teardown(sets_aside_a_symbolic_link, begin, leave_folder),
        cmocka_unit_test_setup_teardown(fails_without_the_folder, begin, leave_folder),
        cmocka_unit_test_setup_teardown(takes_for_set_aside_what_has_gone, begin,
                                        leave_folder),
        cmocka_unit_test_setup_teardown(
            leaves_a_message_that_has_been_completed_meanwhile, begin, leave_folder),
        cmocka_unit_test_setup_teardown(leaves_a_file_that_somebody_is_writing, begin,
                                        leave_folder),
        cmocka_unit_test_setup_teardown(leaves_a_file_that_cannot_be_opened_now, begin,
                                        leave_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
