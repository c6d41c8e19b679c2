#include "entry.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "exitcode.h"
#include "injection.h"
#include "queue_file.h"

static const char bytes[] = "Subject: x\n\nhello\nFme@a\0Tyou@b\0Tall@c\0";
enum { MESSAGE = 18, ENVELOPE = sizeof bytes - MESSAGE, TOTAL = sizeof bytes };

static const struct entry_origin origin = {.uid = 1000, .pid = 4711};
static char folder[] = "/tmp/entry_test.XXXXXX";

static int
enter_folder(void **state)
{
    (void)state;
    char path[QUEUE_FILE_PATH_MAX];
    if (!mkdtemp(folder) || chdir(folder) < 0 || mkdir("queue", 0700) < 0 ||
        mkdir("queue/mess", 0700) < 0)
        return -1;
    for (int i = 0; i < QUEUE_FILE_SPLIT; i++) {
        snprintf(path, sizeof path, "queue/mess/%d", i);
        if (mkdir(path, 0700) < 0)
            return -1;
    }
    return 0;
}

static int
leave_folder(void **state)
{
    (void)state;
    char path[QUEUE_FILE_PATH_MAX];
    for (int i = 0; i < QUEUE_FILE_SPLIT; i++) {
        snprintf(path, sizeof path, "queue/mess/%d", i);
        if (rmdir(path) < 0) /* not empty: a test left something behind */
            return -1;
    }
    rmdir("queue/mess");
    rmdir("queue");
    return chdir("/") == 0 ? rmdir(folder) : -1;
}

static int
open_file(const struct entry *entry, int flags)
{
    char path[QUEUE_FILE_PATH_MAX];
    queue_file_path(path, entry->id);
    return open(path, flags | O_CLOEXEC);
}

static void
write_in_pieces(struct entry *entry, size_t piece)
{
    for (size_t at = 0; at < TOTAL; at += piece) {
        size_t len = TOTAL - at < piece ? TOTAL - at : piece;
        assert_int_equal(entry_check(entry, bytes + at, len), QUEUE_OK);
        assert_int_equal(entry_write(entry, bytes + at, len), QUEUE_OK);
    }
    assert_int_equal(entry->written, TOTAL);
}

static void
makes_a_sound_file_in_pieces_of_any_size(void **state)
{
    (void)state;
    static const char letters[] = "FTTBUP";
    struct queue_file file = {0};
    struct entry entry;
    uint64_t last_id = 0;

    for (size_t piece = 1; piece <= TOTAL; piece++) {
        char letter, text[256] = "";
        const char *value = "";
        size_t at = 0;
        assert_int_equal(entry_begin(&entry, &origin, MESSAGE, ENVELOPE), QUEUE_OK);
        assert_int_equal(entry_open(&entry, &last_id), QUEUE_OK);
        write_in_pieces(&entry, piece);
        int fd = open_file(&entry, O_RDONLY);
        assert_int_equal(queue_file_read(fd, &file, true), QUEUE_FILE_OK);
        for (int i = 0; i < 6; i++) {
            assert_true(queue_file_next(&file, &at, &letter, &value));
            assert_int_equal(letter, letters[i]);
        }
        assert_false(queue_file_next(&file, &at, &letter, &value));
        assert_string_equal(value, "4711");
        assert_true(pread(fd, text, sizeof text - 1, 0) > 0);
        assert_int_equal(
            strncmp(text, "Received: (qmail 4711 invoked by uid 1000); ", 44), 0);
        assert_non_null(strstr(text, " -0000\nSubject: x\n\nhello\nH"));
        close(fd);
        assert_true(entry_abandon(&entry));
    }
    stralloc_free(&file.envelope);
}

static void
the_file_is_locked_until_it_is_closed(void **state)
{
    (void)state;
    struct entry entry;
    uint64_t last_id = 0;
    assert_int_equal(entry_begin(&entry, &origin, MESSAGE, ENVELOPE), QUEUE_OK);
    assert_int_equal(entry_open(&entry, &last_id), QUEUE_OK);
    int fd = open_file(&entry, O_RDONLY);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
    char path[QUEUE_FILE_PATH_MAX];
    queue_file_path(path, entry.id);
    entry_close(&entry);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    close(fd);
    assert_int_equal(unlink(path), 0);
}

static void
ids_rise_even_when_the_clock_was_set_back(void **state)
{
    (void)state;
    struct entry first, second, third;
    uint64_t last_id = 9000000000000000; /* in the year 2255 */
    uint64_t again = last_id;
    assert_int_equal(entry_begin(&first, &origin, MESSAGE, ENVELOPE), QUEUE_OK);
    assert_int_equal(entry_begin(&second, &origin, MESSAGE, ENVELOPE), QUEUE_OK);
    assert_int_equal(entry_begin(&third, &origin, MESSAGE, ENVELOPE), QUEUE_OK);
    assert_int_equal(entry_open(&first, &last_id), QUEUE_OK);
    assert_int_equal(entry_open(&second, &last_id), QUEUE_OK);
    assert_true(first.id == 9000000000000001 && second.id == first.id + 1);
    assert_int_equal(entry_open(&third, &again), QUEUE_OK); /* what is there stays */
    assert_true(third.id == second.id + 1 && again == third.id);
    assert_true(entry_abandon(&first) && entry_abandon(&second) && entry_abandon(&third));
}

/* The code for a packet that holds exactly this envelope. */
static unsigned int
code_of(const char *envelope, size_t len)
{
    struct entry entry;
    unsigned int code = entry_begin(&entry, &origin, 0, len);
    return code == QUEUE_OK ? entry_check(&entry, envelope, len) : code;
}

static void
checks_the_envelope(void **state)
{
    (void)state;
    assert_int_equal(code_of("F\0\0", 3), QUEUE_OK);
    assert_int_equal(code_of("F\0T\0\0", 5), QUEUE_OK);
    assert_int_equal(code_of("F\0", 2), QUEUE_BAD_ENVELOPE);
    assert_int_equal(code_of("", 0), QUEUE_BAD_ENVELOPE);
    assert_int_equal(code_of("T\0\0", 3), QUEUE_BAD_ENVELOPE);
    assert_int_equal(code_of("Fa\0F\0\0", 6), QUEUE_BAD_ENVELOPE);
    assert_int_equal(code_of("Fa\0Tb\0", 6), QUEUE_BAD_ENVELOPE);     /* no end */
    assert_int_equal(code_of("Fa\0\0Tb\0\0", 8), QUEUE_BAD_ENVELOPE); /* too early */
    assert_int_equal(code_of("Fa\0Tb", 5), QUEUE_BAD_ENVELOPE);
}

static void
an_address_has_at_most_1002_bytes(void **state)
{
    (void)state;
    char envelope[INJECTION_ADDRESS_MAX + 8] = "F";
    memset(envelope + 1, 'a', INJECTION_ADDRESS_MAX);
    assert_int_equal(code_of(envelope, INJECTION_ADDRESS_MAX + 3), QUEUE_OK);
    envelope[INJECTION_ADDRESS_MAX + 1] = 'a';
    assert_int_equal(code_of(envelope, INJECTION_ADDRESS_MAX + 4),
                     QUEUE_ADDRESS_TOO_LONG);
}

static void
impossible_lengths_are_refused(void **state)
{
    (void)state;
    struct entry entry;
    assert_int_equal(entry_begin(&entry, &origin, UINT64_MAX, 3), QUEUE_BAD_ENVELOPE);
    assert_int_equal(entry_begin(&entry, &origin, 3, UINT64_MAX), QUEUE_BAD_ENVELOPE);
    assert_int_equal(entry_begin(&entry, &origin, 3, QUEUE_FILE_ENVELOPE_MAX),
                     QUEUE_BAD_ENVELOPE);
}

static void
a_full_disk_is_a_write_error_and_leaves_nothing(void **state)
{
    (void)state;
    struct entry entry;
    uint64_t last_id = 0;
    struct rlimit old, small = {.rlim_cur = 50, .rlim_max = RLIM_INFINITY};

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(entry_begin(&entry, &origin, MESSAGE, ENVELOPE), QUEUE_OK);
    assert_int_equal(entry_open(&entry, &last_id), QUEUE_OK);
    assert_int_equal(entry_check(&entry, bytes, TOTAL), QUEUE_OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    unsigned int code = entry_write(&entry, bytes, TOTAL);
    int error = errno;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(code, QUEUE_WRITE_ERROR);
    assert_int_equal(error, EFBIG);
    assert_true(entry_abandon(&entry));
    assert_int_equal(open_file(&entry, O_RDONLY), -1);
}

static void
a_missing_folder_is_trouble_with_mess(void **state)
{
    (void)state;
    struct entry entry;
    uint64_t last_id = 0;
    assert_int_equal(entry_begin(&entry, &origin, MESSAGE, ENVELOPE), QUEUE_OK);
    assert_int_equal(rename("queue/mess", "queue/away"), 0);
    assert_int_equal(entry_open(&entry, &last_id), QUEUE_MESS_TROUBLE);
    assert_int_equal(rename("queue/away", "queue/mess"), 0);
    assert_true(entry_abandon(&entry));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_a_sound_file_in_pieces_of_any_size),
        cmocka_unit_test(the_file_is_locked_until_it_is_closed),
        cmocka_unit_test(ids_rise_even_when_the_clock_was_set_back),
        cmocka_unit_test(checks_the_envelope),
        cmocka_unit_test(an_address_has_at_most_1002_bytes),
        cmocka_unit_test(impossible_lengths_are_refused),
        cmocka_unit_test(a_full_disk_is_a_write_error_and_leaves_nothing),
        cmocka_unit_test(a_missing_folder_is_trouble_with_mess),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
