#include "entry.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/uio.h>

#include <skalibs/allreadwrite.h>

#include "clock.h"
#include "crc32c.h"
#include "exitcode.h"
#include "queue_file.h"
#include "text.h"

enum {
    PIECES = 6, /* Received line, message, header, envelope, records, footer */
    ID_ATTEMPTS = 1000,
};

/* Received: (qmail 4711 invoked by uid 1000); 20 Nov 2026 10:39:14 -0000 */
static bool
make_received(struct entry *entry, const struct entry_origin *origin)
{
    stralloc date = STRALLOC_ZERO;
    char who[32];

    if (origin->role)
        snprintf(who, sizeof who, "%s", origin->role);
    else
        snprintf(who, sizeof who, "by uid %" PRIu32, origin->uid);
    bool ok = text_append_date(&date, (int64_t)entry->birth_s);
    if (ok) {
        int len = snprintf(entry->received, sizeof entry->received,
                           "Received: (qmail %" PRIu32 " invoked %s); %s\n", origin->pid,
                           who, date.s);
        ok = len > 0 && (size_t)len < sizeof entry->received;
        entry->received_len = (size_t)len;
    }
    stralloc_free(&date);
    return ok;
}

unsigned int
entry_begin(struct entry *entry, const struct entry_origin *origin, uint64_t message_len,
            uint64_t envelope_len)
{
    memset(entry, 0, sizeof *entry);
    entry->file = -1;
    if (message_len > INT64_MAX / 2 || envelope_len < sizeof "F" + 1 ||
        envelope_len >
            QUEUE_FILE_ENVELOPE_MAX - QUEUE_FILE_HEADER_LEN - ENTRY_RECORDS_MAX)
        return QUEUE_BAD_ENVELOPE;
    entry->message_len = message_len;
    entry->envelope_len = envelope_len;
    entry->pid = origin->pid;
    entry->birth_s = (uint64_t)time(NULL);
    int len = snprintf(entry->records, sizeof entry->records,
                       "B%" PRIu64 "%cU%" PRIu32 "%cP%" PRIu32 "%c", entry->birth_s, 0,
                       origin->uid, 0, origin->pid, 0);
    entry->records_len = (size_t)len;
    return make_received(entry, origin) ? QUEUE_OK : QUEUE_NO_MEMORY;
}

/* How many of the next len bytes belong to the message; the rest is envelope. */
static size_t
message_part(const struct entry *entry, size_t len)
{
    if (entry->written >= entry->message_len)
        return 0;
    uint64_t left = entry->message_len - entry->written;
    return left < len ? (size_t)left : len;
}

unsigned int
entry_check(struct entry *entry, const char *bytes, size_t len)
{
    uint64_t total = entry->message_len + entry->envelope_len;
    size_t skip = message_part(entry, len);
    unsigned int code = envelope_check(&entry->check, bytes + skip, len - skip);
    if (code != QUEUE_OK)
        return code;
    bool is_at_end = entry->check.place == ENVELOPE_END;
    return is_at_end == (entry->written + len == total) ? QUEUE_OK : QUEUE_BAD_ENVELOPE;
}

static unsigned int
code_of_open_error(void)
{
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
    case EACCES:
    case EPERM:
    case EEXIST:
        return QUEUE_MESS_TROUBLE;
    case ENOMEM:
        return QUEUE_NO_MEMORY;
    default:
        return QUEUE_WRITE_ERROR;
    }
}

uint64_t
entry_next_id(uint64_t *last_id)
{
    uint64_t now = clock_real_us();
    *last_id = now > *last_id ? now : *last_id + 1;
    return *last_id;
}

unsigned int
entry_open(struct entry *entry, uint64_t *last_id)
{
    char path[QUEUE_FILE_PATH_MAX];

    /* EEXIST: the clock was set back; the ids of an earlier life are in the way */
    for (int attempt = 0; attempt < ID_ATTEMPTS && entry->file < 0; attempt++) {
        entry->id = entry_next_id(last_id);
        queue_file_path(path, entry->id);
        /* not open(): musl's makes two system calls of it */
        entry->file =
            openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (entry->file < 0 && errno != EEXIST && errno != EINTR)
            break;
    }
    if (entry->file < 0)
        return code_of_open_error();
    if (flock(entry->file, LOCK_EX | LOCK_NB) == 0)
        return QUEUE_OK;
    int saved = errno;
    entry_abandon(entry);
    errno = saved;
    return QUEUE_WRITE_ERROR;
}

/* Pieces of one writev in the making. */
struct gather {
    struct iovec pieces[PIECES];
    unsigned int count;
    size_t len;
};

static void
add(struct gather *gather, const char *bytes, size_t len)
{
    if (!len)
        return;
    gather->pieces[gather->count++] =
        (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
    gather->len += len;
}

static void
add_summed(struct gather *gather, struct entry *entry, const char *bytes, size_t len)
{
    entry->crc = crc32c_update(entry->crc, bytes, len);
    add(gather, bytes, len);
}

unsigned int
entry_write(struct entry *entry, const char *bytes, size_t len)
{
    struct gather gather = {.count = 0, .len = 0};
    struct queue_header header = {.next_try_s = entry->birth_s};
    char head[QUEUE_FILE_HEADER_LEN];
    char footer[QUEUE_FILE_FOOTER_LEN];
    uint64_t end = entry->written + len;
    uint64_t total = entry->message_len + entry->envelope_len;
    size_t split = message_part(entry, len);

    if (entry->written == 0)
        add_summed(&gather, entry, entry->received, entry->received_len);
    add_summed(&gather, entry, bytes, split);
    if (end >= entry->message_len && !entry->has_header) {
        entry->has_header = true;
        if (!queue_file_format_header(head, &header))
            return QUEUE_WRITE_ERROR;
        add(&gather, head, sizeof head);
    }
    /* the final NUL of the envelope is not a record */
    add_summed(&gather, entry, bytes + split, len - split - (end == total));
    if (end == total) {
        add_summed(&gather, entry, entry->records, entry->records_len);
        if (!queue_file_format_footer(footer, entry->received_len + entry->message_len,
                                      QUEUE_FILE_HEADER_LEN + entry->envelope_len - 1 +
                                          entry->records_len,
                                      entry->crc))
            return QUEUE_WRITE_ERROR;
        add(&gather, footer, sizeof footer);
    }
    entry->written = end;
    return allwritev(entry->file, gather.pieces, gather.count) == gather.len
               ? QUEUE_OK
               : QUEUE_WRITE_ERROR;
}

bool
entry_abandon(struct entry *entry)
{
    char path[QUEUE_FILE_PATH_MAX];

    if (entry->file < 0)
        return true;
    queue_file_path(path, entry->id);
    bool ok = unlink(path) == 0 || errno == ENOENT || ftruncate(entry->file, 0) == 0;
    int saved = errno;
    entry_close(entry);
    errno = saved;
    return ok;
}

void
entry_close(struct entry *entry)
{
    if (entry->file >= 0)
        close(entry->file);
    entry->file = -1;
}
