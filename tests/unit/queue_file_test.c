#include "queue_file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>

#include <cmocka.h>

#include "crc32c.h"
#include "text.h"

static const char message[] = "Subject: x\n\nhello\n";
static const char records[] = "Fme@a.example\0Tyou@b.example\0Tall@c.example\0B17\0Znew";

/* A whole queue file, made with the functions that a writer has. */
static void
build(stralloc *bytes, const char *text, size_t text_len, const char *envelope,
      size_t envelope_len)
{
    const struct queue_header header = {.next_try_s = 1795173586, .tries = 3, .flags = 2};
    char head[QUEUE_FILE_HEADER_LEN];
    char footer[QUEUE_FILE_FOOTER_LEN];
    uint32_t crc = crc32c_update(0, text, text_len);

    crc = crc32c_update(crc, envelope, envelope_len);
    assert_true(queue_file_format_header(head, &header));
    assert_true(
        queue_file_format_footer(footer, text_len, sizeof head + envelope_len, crc));
    bytes->len = 0;
    assert_true(text_append_bytes(bytes, text, text_len));
    assert_true(text_append_bytes(bytes, head, sizeof head));
    assert_true(text_append_bytes(bytes, envelope, envelope_len));
    assert_true(text_append_bytes(bytes, footer, sizeof footer));
}

static void
build_usual(stralloc *bytes)
{
    build(bytes, message, sizeof message - 1, records, sizeof records);
}

static int
file_of(const char *bytes, size_t len)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    return fd;
}

/* Both ways of reading must agree. */
static enum queue_file_status
read_both(const char *bytes, size_t len)
{
    struct queue_file file = {0};
    stralloc whole = STRALLOC_ZERO;
    int fd = file_of(bytes, len);
    enum queue_file_status status = queue_file_read(fd, &file, true);
    assert_int_equal(queue_file_read_whole(fd, &file, &whole), status);
    if (status == QUEUE_FILE_OK)
        assert_int_equal(queue_file_read(fd, &file, false), QUEUE_FILE_OK);
    close(fd);
    stralloc_free(&file.envelope);
    stralloc_free(&whole);
    return status;
}

static void
reads_back_what_was_written(void **state)
{
    (void)state;
    static const char letters[] = "FTTBZ";
    stralloc bytes = STRALLOC_ZERO;
    struct queue_file file = {0};
    char letter;
    const char *text;
    size_t at = 0;

    build_usual(&bytes);
    int fd = file_of(bytes.s, bytes.len);
    assert_int_equal(queue_file_read(fd, &file, true), QUEUE_FILE_OK);
    assert_int_equal(file.message_len, sizeof message - 1);
    assert_int_equal(file.header.next_try_s, 1795173586);
    assert_int_equal(file.header.tries, 3);
    assert_int_equal(file.header.flags, QUEUE_FLAG_HELD);
    for (int i = 0; i < 5; i++) {
        assert_true(queue_file_next(&file, &at, &letter, &text));
        assert_int_equal(letter, letters[i]);
        if (i == 2)
            assert_string_equal(text, "all@c.example");
    }
    assert_string_equal(text, "new");
    assert_false(queue_file_next(&file, &at, &letter, &text));
    close(fd);
    stralloc_free(&bytes);
    stralloc_free(&file.envelope);
}

static void
a_file_cut_at_any_length_is_torn(void **state)
{
    (void)state;
    stralloc bytes = STRALLOC_ZERO;
    build_usual(&bytes);
    for (size_t len = 0; len < bytes.len; len++)
        assert_int_equal(read_both(bytes.s, len), QUEUE_FILE_TORN);
    assert_int_equal(read_both(bytes.s, bytes.len), QUEUE_FILE_OK);
    stralloc_free(&bytes);
}

static void
a_file_with_one_wrong_byte_is_torn_except_in_its_header(void **state)
{
    (void)state;
    stralloc bytes = STRALLOC_ZERO;
    build_usual(&bytes);
    size_t header = sizeof message - 1;
    for (size_t at = 0; at < bytes.len; at++) {
        bool is_header = at > header && at < header + QUEUE_FILE_HEADER_LEN;
        if (is_header)
            continue;
        bytes.s[at] ^= 1;
        assert_int_equal(read_both(bytes.s, bytes.len), QUEUE_FILE_TORN);
        bytes.s[at] ^= 1;
    }
    stralloc_free(&bytes);
}

static void
a_file_whose_last_blocks_are_zero_is_torn(void **state)
{
    (void)state;
    stralloc bytes = STRALLOC_ZERO;
    build_usual(&bytes);
    for (size_t at = 0; at < bytes.len; at++) {
        memset(bytes.s + at, 0, bytes.len - at);
        assert_int_equal(read_both(bytes.s, bytes.len), QUEUE_FILE_TORN);
        build_usual(&bytes);
    }
    stralloc_free(&bytes);
}

static void
marks_and_a_new_header_do_not_change_the_checksum(void **state)
{
    (void)state;
    stralloc bytes = STRALLOC_ZERO;
    struct queue_file file = {0};
    struct queue_file again = {0};
    char letter = '\0';
    const char *text;
    size_t at = 0, offset = 0;

    build_usual(&bytes);
    int fd = file_of(bytes.s, bytes.len);
    assert_int_equal(queue_file_read(fd, &file, true), QUEUE_FILE_OK);
    while (letter != 'T') {
        offset = at;
        assert_true(queue_file_next(&file, &at, &letter, &text));
    }
    assert_true(queue_file_mark_done(fd, &file, offset));
    file.header = (struct queue_header){
        .next_try_s = UINT64_MAX, .tries = UINT32_MAX, .flags = UINT32_MAX};
    assert_true(queue_file_write_header(fd, &file));
    assert_int_equal(queue_file_read(fd, &again, true), QUEUE_FILE_OK);
    assert_int_equal(again.envelope.s[offset], 'D');
    assert_int_equal(file.envelope.s[offset], 'D');
    assert_true(again.header.next_try_s == UINT64_MAX);
    assert_true(again.header.flags == UINT32_MAX);
    close(fd);
    stralloc_free(&bytes);
    stralloc_free(&file.envelope);
    stralloc_free(&again.envelope);
}

static void
an_envelope_without_a_sound_form_is_torn(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"", 0},
        {"Tyou@b\0", 7},        /* no sender */
        {"Fme@a\0Fme@a\0", 12}, /* two */
        {"Fme@a\0Tyou", 10},    /* no NUL at the end */
        {"Fme@a\0\0", 7},       /* a record without a letter */
    };
    stralloc bytes = STRALLOC_ZERO;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        build(&bytes, message, sizeof message - 1, bad[i].bytes, bad[i].len);
        assert_int_equal(read_both(bytes.s, bytes.len), QUEUE_FILE_TORN);
    }
    build(&bytes, "", 0, "F\0",
          2); /* the smallest one: nothing, from nobody, to nobody */
    assert_int_equal(read_both(bytes.s, bytes.len), QUEUE_FILE_OK);
    stralloc_free(&bytes);
}

static void
reads_large_files(void **state)
{
    (void)state;
    stralloc text = STRALLOC_ZERO;
    stralloc bytes = STRALLOC_ZERO;
    assert_true(stralloc_ready(&text, QUEUE_FILE_WHOLE_MAX * 9));
    for (size_t len = QUEUE_FILE_WHOLE_MAX - 300; len < QUEUE_FILE_WHOLE_MAX * 9;
         len = len < QUEUE_FILE_WHOLE_MAX ? len + 1 : len * 2) {
        memset(text.s, 'x', len);
        build(&bytes, text.s, len, records, sizeof records);
        assert_int_equal(read_both(bytes.s, bytes.len), QUEUE_FILE_OK);
    }
    stralloc_free(&text);
    stralloc_free(&bytes);
}

static void
numbers_of_a_footer_that_lie_are_torn(void **state)
{
    (void)state;
    static const char *const footers[] = {
        "pennypost 1 99999999999999999999 0000000120 00000000           \n",
        "pennypost 1 18446744073709551615 0000000042 00000000           \n",
        "pennypost 1 00000000000000000000 4294967295 00000000           \n",
        "pennypost 1 00000000000000000000 0000000000 00000000           \n",
        "pennypost 2 00000000000000000018 0000000098 00000000           \n",
    };
    stralloc bytes = STRALLOC_ZERO;
    for (size_t i = 0; i < sizeof footers / sizeof *footers; i++) {
        build_usual(&bytes);
        memcpy(bytes.s + bytes.len - QUEUE_FILE_FOOTER_LEN, footers[i],
               QUEUE_FILE_FOOTER_LEN);
        assert_int_equal(read_both(bytes.s, bytes.len), QUEUE_FILE_TORN);
    }
    stralloc_free(&bytes);
}

static void
what_is_no_file_is_torn_and_what_cannot_be_read_is_an_error(void **state)
{
    (void)state;
    struct queue_file file = {0};
    int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(queue_file_read(folder, &file, true), QUEUE_FILE_TORN);
    close(folder);
    assert_int_equal(queue_file_read(-1, &file, true), QUEUE_FILE_ERROR);
}

static void
ids_of_the_same_seconds_share_a_folder(void **state)
{
    (void)state;
    char path[QUEUE_FILE_PATH_MAX];
    queue_file_path(path, 1795173586068950);
    assert_string_equal(path, "queue/mess/14/1795173586068950");
    assert_int_equal(queue_file_folder(1795173586068950),
                     queue_file_folder(1795173586068951));
    queue_file_path(path, UINT64_MAX);
    assert_true(strlen(path) < QUEUE_FILE_PATH_MAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_back_what_was_written),
        cmocka_unit_test(a_file_cut_at_any_length_is_torn),
        cmocka_unit_test(a_file_with_one_wrong_byte_is_torn_except_in_its_header),
        cmocka_unit_test(a_file_whose_last_blocks_are_zero_is_torn),
        cmocka_unit_test(marks_and_a_new_header_do_not_change_the_checksum),
        cmocka_unit_test(an_envelope_without_a_sound_form_is_torn),
        cmocka_unit_test(reads_large_files),
        cmocka_unit_test(numbers_of_a_footer_that_lie_are_torn),
        cmocka_unit_test(what_is_no_file_is_torn_and_what_cannot_be_read_is_an_error),
        cmocka_unit_test(ids_of_the_same_seconds_share_a_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
