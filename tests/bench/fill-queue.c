/* fill-queue: write many messages into queue/mess, as if they had been tried and failed.
 *
 * usage   fill-queue count next_try_s recipient size_bytes
 *         count       how many; they came evenly over the last five days
 *         next_try_s  0: all are due; else the first is due in so many seconds,
 *                     each one later within the hour that follows
 * stdin   unused
 * stdout  unused
 * env     QMAILHOME
 * files   queue/mess: made by lib/queue_file, not flushed; nothing else may use the queue
 * exit    0; 100 bad usage; 111 trouble
 * spec    queue-file(5)
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "crc32c.h"
#include "die.h"
#include "home.h"
#include "queue_file.h"
#include "text.h"

enum { AGE_S = 5 * 86400, SPREAD_S = 3600, TRIES = 3, LINE_LEN = 72 };

struct plan {
    uint64_t count;
    uint64_t first_try_s; /* 0: the past */
    uint64_t now_s;
    const char *recipient;
    stralloc message;
};

static void
make_message(struct plan *plan, uint64_t size_bytes)
{
    stralloc *message = &plan->message;
    bool ok = text_copy(message, "Received: (qmail 1 invoked by uid 0); "
                                 "1 Jan 2026 00:00:00 -0000\nSubject: waiting\n\n");
    while (ok && message->len < size_bytes)
        ok = text_append(message, message->len % LINE_LEN ? "x" : "\n");
    if (!ok || !text_append(message, "\n"))
        die_temp("allocate", "the message");
}

static bool
append_record(stralloc *records, const char *letter, uint64_t number)
{
    return text_append(records, letter) && text_append_number(records, number) &&
           stralloc_0(records);
}

/* The whole file of message number i: message, header, records, footer. */
static bool
make_file(stralloc *file, const struct plan *plan, uint64_t id, uint64_t i)
{
    char header[QUEUE_FILE_HEADER_LEN], footer[QUEUE_FILE_FOOTER_LEN];
    const struct queue_header values = {
        .tries = TRIES,
        .next_try_s = plan->first_try_s ? plan->now_s + plan->first_try_s + i % SPREAD_S
                                        : plan->now_s - 1,
    };
    uint64_t message_len = plan->message.len;

    if (!queue_file_format_header(header, &values) ||
        !stralloc_copy(file, &plan->message) ||
        !stralloc_catb(file, header, sizeof header) ||
        !text_append(file, "Fsender@local.test") || !stralloc_0(file) ||
        !text_append(file, "T") || !text_append(file, plan->recipient) ||
        !stralloc_0(file) || !append_record(file, "B", id / 1000000) ||
        !append_record(file, "U", 0) || !append_record(file, "P", 1))
        return false;
    uint64_t records_at = message_len + sizeof header;
    uint32_t crc = crc32c_update(0, file->s, message_len);
    crc = crc32c_update(crc, file->s + records_at, file->len - records_at);
    return queue_file_format_footer(footer, message_len, file->len - message_len, crc) &&
           stralloc_catb(file, footer, sizeof footer);
}

static void
write_file(const stralloc *file, uint64_t id)
{
    char path[QUEUE_FILE_PATH_MAX];
    queue_file_path(path, id);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        die_temp("create", path);
    ssize_t written = write(fd, file->s, file->len);
    if (written >= 0 && (size_t)written < file->len)
        errno = ENOSPC;
    if (written < 0 || (size_t)written < file->len || close(fd) < 0)
        die_temp("write", path);
}

int
main(int argc, char **argv)
{
    uint64_t size_bytes;
    struct plan plan = {.now_s = (uint64_t)time(NULL)};
    stralloc file = STRALLOC_ZERO;

    PROG = "fill-queue";
    if (argc != 5 || !uint640_scan(argv[1], &plan.count) || !plan.count ||
        !uint640_scan(argv[2], &plan.first_try_s) || !uint640_scan(argv[4], &size_bytes))
        die_usage("fill-queue count next_try_s recipient size_bytes");
    plan.recipient = argv[3];
    if (!home_enter())
        die_temp("enter", home_path());
    make_message(&plan, size_bytes);
    uint64_t first_id = (plan.now_s - AGE_S) * 1000000;
    for (uint64_t i = 0; i < plan.count; i++) {
        uint64_t id = first_id + i * ((uint64_t)AGE_S * 1000000 / plan.count);
        if (!make_file(&file, &plan, id, i))
            die_temp("make", "a message");
        write_file(&file, id);
    }
    return 0;
}
