#include "queue_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "crc32c.h"
#include "text.h"

enum { CHUNK = 256 * 1024, FILLER_LEN = 11 /* blanks before the last newline */ };

unsigned int
queue_file_folder(uint64_t id)
{
    return (unsigned int)((id >> 24) % QUEUE_FILE_SPLIT);
}

void
queue_file_path(char *path, uint64_t id)
{
    snprintf(path, QUEUE_FILE_PATH_MAX, "queue/mess/%u/%" PRIu64, queue_file_folder(id),
             id);
}

/* The checksum of the records: a recipient counts as 'T' whether it is done or not. */
static uint32_t
crc_of_records(uint32_t crc, const char *records, size_t len)
{
    size_t at = 0;
    while (at < len) {
        size_t record_len = strlen(records + at) + 1;
        if (records[at] == 'D')
            crc = crc32c_update(crc, "T", 1);
        else
            crc = crc32c_update(crc, records + at, 1);
        crc = crc32c_update(crc, records + at + 1, record_len - 1);
        at += record_len;
    }
    return crc;
}

bool
queue_file_format_header(char text[QUEUE_FILE_HEADER_LEN],
                         const struct queue_header *header)
{
    if (snprintf(text, QUEUE_FILE_HEADER_LEN, "H%020" PRIu64 " %010" PRIu32 " %08" PRIx32,
                 header->next_try_s, header->tries,
                 header->flags) == QUEUE_FILE_HEADER_LEN - 1)
        return true;
    errno = EINVAL;
    return false;
}

/* "pennypost 1", the two lengths, the checksum, padding, newline */
bool
queue_file_format_footer(char text[QUEUE_FILE_FOOTER_LEN], uint64_t message_len,
                         uint64_t envelope_len, uint32_t crc)
{
    if (envelope_len > QUEUE_FILE_ENVELOPE_MAX) {
        errno = EINVAL;
        return false;
    }
    int len = snprintf(text, QUEUE_FILE_FOOTER_LEN,
                       "pennypost 1 %020" PRIu64 " %010" PRIu64 " %08" PRIx32,
                       message_len, envelope_len, crc);
    memset(text + len, ' ', (size_t)(QUEUE_FILE_FOOTER_LEN - len));
    text[QUEUE_FILE_FOOTER_LEN - 1] = '\n';
    return true;
}

/* Where the bytes of a queue file come from: the file, or a copy of the whole of it. */
struct source {
    int fd;
    const stralloc *copy; /* null: read fd */
    off_t size;
};

/* Read just len bytes from offset. returns false with errno; EBADMSG: file too short */
static bool
read_exactly(const struct source *source, char *to, size_t len, off_t offset)
{
    int fd = source->fd;
    if (source->copy) { /* the callers have compared offset + len with the size */
        memcpy(to, source->copy->s + offset, len);
        return true;
    }
    while (len) {
        ssize_t got = pread(fd, to, len, offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            errno = EBADMSG;
        if (got <= 0)
            return false;
        to += got;
        offset += got;
        len -= (size_t)got;
    }
    return true;
}

static enum queue_file_status
status_of_errno(void)
{
    return errno == EBADMSG ? QUEUE_FILE_TORN : QUEUE_FILE_ERROR;
}

struct footer {
    uint64_t message_len;
    uint64_t envelope_len;
    uint64_t crc;
};

static bool
parse_footer(const char *text, off_t size, struct footer *footer)
{
    static const char start[] = "pennypost 1 ";
    const char *field = text + sizeof start - 1;
    if (memcmp(text, start, sizeof start - 1) != 0 ||
        text[QUEUE_FILE_FOOTER_LEN - 1] != '\n')
        return false;
    if (!text_scan_digits(field, 20, 10, &footer->message_len) ||
        !text_scan_digits(field + 21, 10, 10, &footer->envelope_len) ||
        !text_scan_digits(field + 32, 8, 16, &footer->crc) || field[20] != ' ' ||
        field[31] != ' ' || strspn(field + 40, " ") != FILLER_LEN)
        return false;
    return footer->envelope_len >= QUEUE_FILE_HEADER_LEN &&
           footer->envelope_len <= QUEUE_FILE_ENVELOPE_MAX &&
           footer->message_len <= (uint64_t)size &&
           footer->message_len + footer->envelope_len + QUEUE_FILE_FOOTER_LEN ==
               (uint64_t)size;
}

static bool
parse_header(const char *text, struct queue_header *header)
{
    uint64_t tries, flags;
    if (text[0] != 'H' || text[QUEUE_FILE_HEADER_LEN - 1] != '\0' ||
        !text_scan_digits(text + 1, 20, 10, &header->next_try_s) ||
        !text_scan_digits(text + 22, 10, 10, &tries) ||
        !text_scan_digits(text + 33, 8, 16, &flags))
        return false;
    header->tries = tries > UINT32_MAX ? UINT32_MAX : (uint32_t)tries;
    header->flags = (uint32_t)flags;
    return true;
}

/* Every record ends with NUL and begins with a letter; 'F' comes once, first. */
static bool
records_are_sound(const stralloc *records)
{
    if (!records->len || records->s[0] != 'F' || records->s[records->len - 1] != '\0')
        return false;
    for (size_t at = 0; at < records->len; at += strlen(records->s + at) + 1)
        if (!records->s[at] || (at && records->s[at] == 'F'))
            return false;
    return true;
}

static enum queue_file_status
sum_of_message(const struct source *source, uint64_t message_len, uint32_t *crc)
{
    enum queue_file_status status = QUEUE_FILE_OK;
    uint64_t offset = 0;

    *crc = 0;
    if (source->copy) {
        *crc = crc32c_update(0, source->copy->s, message_len);
        return QUEUE_FILE_OK;
    }
    size_t room = message_len < CHUNK ? (size_t)message_len : CHUNK;
    char *chunk = malloc(room + 1); /* 0 bytes could give null */
    if (!chunk)
        return QUEUE_FILE_ERROR;
    while (status == QUEUE_FILE_OK && offset < message_len) {
        uint64_t left = message_len - offset;
        size_t len = left < CHUNK ? (size_t)left : CHUNK;
        if (!read_exactly(source, chunk, len, (off_t)offset))
            status = status_of_errno();
        else
            *crc = crc32c_update(*crc, chunk, len);
        offset += len;
    }
    free(chunk);
    return status;
}

static enum queue_file_status
check_sum(const struct source *source, const struct queue_file *file, uint32_t expected)
{
    uint32_t crc;
    enum queue_file_status status = sum_of_message(source, file->message_len, &crc);

    if (status != QUEUE_FILE_OK)
        return status;
    crc = crc_of_records(crc, file->envelope.s, file->envelope.len);
    return crc == expected ? QUEUE_FILE_OK : QUEUE_FILE_TORN;
}

static enum queue_file_status
read_source(const struct source *source, struct queue_file *file, bool with_message)
{
    struct footer footer;
    char text[QUEUE_FILE_FOOTER_LEN];
    char head[QUEUE_FILE_HEADER_LEN];

    if (source->size < QUEUE_FILE_FOOTER_LEN)
        return QUEUE_FILE_TORN;
    if (!read_exactly(source, text, sizeof text, source->size - QUEUE_FILE_FOOTER_LEN))
        return status_of_errno();
    if (!parse_footer(text, source->size, &footer))
        return QUEUE_FILE_TORN;
    file->message_len = footer.message_len;
    off_t start = (off_t)footer.message_len;
    size_t len = (size_t)footer.envelope_len - QUEUE_FILE_HEADER_LEN;
    file->envelope.len = 0;
    if (!stralloc_ready(&file->envelope, len + 1))
        return QUEUE_FILE_ERROR;
    if (!read_exactly(source, head, sizeof head, start) ||
        !read_exactly(source, file->envelope.s, len, start + QUEUE_FILE_HEADER_LEN))
        return status_of_errno();
    file->envelope.len = len;
    file->envelope.s[len] = '\0';
    if (!parse_header(head, &file->header) || !records_are_sound(&file->envelope))
        return QUEUE_FILE_TORN;
    return with_message ? check_sum(source, file, (uint32_t)footer.crc) : QUEUE_FILE_OK;
}

enum queue_file_status
queue_file_read(int fd, struct queue_file *file, bool with_message)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return QUEUE_FILE_ERROR;
    if (!S_ISREG(status.st_mode))
        return QUEUE_FILE_TORN;
    struct source source = {.fd = fd, .size = status.st_size};
    return read_source(&source, file, with_message);
}

enum queue_file_status
queue_file_read_whole(int fd, struct queue_file *file, stralloc *bytes)
{
    bytes->len = 0;
    if (!stralloc_ready(bytes, QUEUE_FILE_WHOLE_MAX))
        return QUEUE_FILE_ERROR;
    ssize_t got;
    do
        got = pread(fd, bytes->s, QUEUE_FILE_WHOLE_MAX, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return QUEUE_FILE_ERROR;
    if (got == QUEUE_FILE_WHOLE_MAX) /* there may be more of it */
        return queue_file_read(fd, file, false);
    bytes->len = (size_t)got;
    struct source source = {.fd = fd, .copy = bytes, .size = got};
    return read_source(&source, file, true);
}

bool
queue_file_next(const struct queue_file *file, size_t *at, char *letter,
                const char **text)
{
    if (*at >= file->envelope.len)
        return false;
    *letter = file->envelope.s[*at];
    *text = file->envelope.s + *at + 1;
    *at += strlen(file->envelope.s + *at) + 1;
    return true;
}

static bool
write_at(int fd, const char *bytes, size_t len, uint64_t offset)
{
    ssize_t written;
    do
        written = pwrite(fd, bytes, len, (off_t)offset);
    while (written < 0 && errno == EINTR);
    if (written >= 0 && (size_t)written != len)
        errno = EIO;
    return written >= 0 && (size_t)written == len;
}

bool
queue_file_write_header(int fd, const struct queue_file *file)
{
    char head[QUEUE_FILE_HEADER_LEN];
    return queue_file_format_header(head, &file->header) &&
           write_at(fd, head, sizeof head, file->message_len);
}

bool
queue_file_mark_done(int fd, struct queue_file *file, size_t offset)
{
    if (!write_at(fd, "D", 1, file->message_len + QUEUE_FILE_HEADER_LEN + offset))
        return false;
    file->envelope.s[offset] = 'D';
    return true;
}
