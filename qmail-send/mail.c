#include "mail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <skalibs/types.h>

static uint64_t
number_of(const char *text)
{
    uint64_t number;
    return uint640_scan(text, &number) ? number : 0;
}

const char *
mail_sender(const struct mail *mail)
{
    return mail->file.envelope.s + 1; /* 'F' is the first record */
}

const char *
mail_recipient(const struct mail *mail, uint32_t index)
{
    return mail->file.envelope.s + mail->recipients[index].offset + 1;
}

/* Count the recipients to do and read the records about the message itself. */
static void
read_records(struct mail *mail)
{
    size_t at = 0;
    char letter;
    const char *text;

    while (queue_file_next(&mail->file, &at, &letter, &text)) {
        if (letter == 'T')
            mail->recipient_count++;
        else if (letter == 'B')
            mail->birth_s = number_of(text);
        else if (letter == 'U')
            mail->uid = number_of(text);
        else if (letter == 'P')
            mail->qp = number_of(text);
    }
    if (!mail->birth_s)
        mail->birth_s = mail->id / 1000000;
}

static bool
add_recipients(struct mail *mail, const struct config *config,
               const struct destination_table *destinations, struct route *route)
{
    size_t at = 0, offset = 0;
    char letter;
    const char *text;
    uint32_t index = 0;

    while (queue_file_next(&mail->file, &at, &letter, &text)) {
        if (letter == 'T') {
            if (!route_find(route, config, text))
                return false;
            mail->recipients[index++] = (struct mail_recipient){
                .destination =
                    destination_hash(destinations, route->is_local, route->destination.s),
                .offset = (uint32_t)offset,
                .state = RECIPIENT_WAITING,
                .is_local = route->is_local,
            };
        }
        offset = at;
    }
    return true;
}

static int
compare_recipients(const void *a, const void *b)
{
    const struct mail_recipient *left = a, *right = b;
    if (left->destination != right->destination)
        return left->destination < right->destination ? -1 : 1;
    return left->offset < right->offset ? -1 : left->offset > right->offset;
}

/* A run of recipients with the same destination is a group. */
static uint32_t
count_groups(struct mail *mail, struct mail_group *groups)
{
    uint32_t count = 0;
    for (uint32_t first = 0; first < mail->recipient_count;) {
        uint32_t end = first + 1;
        while (end < mail->recipient_count &&
               mail->recipients[end].destination == mail->recipients[first].destination)
            end++;
        if (groups)
            groups[count] = (struct mail_group){.next = first, .end = end};
        count++;
        first = end;
    }
    return count;
}

bool
mail_make_groups(struct mail *mail, const struct config *config,
                 const struct destination_table *destinations, struct route *route)
{
    if (!mail->recipient_count)
        return true;
    mail->recipients = calloc(mail->recipient_count, sizeof *mail->recipients);
    if (!mail->recipients || !add_recipients(mail, config, destinations, route))
        return false;
    qsort(mail->recipients, mail->recipient_count, sizeof *mail->recipients,
          compare_recipients);
    mail->groups = calloc(count_groups(mail, NULL), sizeof *mail->groups);
    if (!mail->groups)
        return false;
    mail->group_count = count_groups(mail, mail->groups);
    mail->undone = mail->recipient_count;
    return true;
}

struct mail_group *
mail_find_group(const struct mail *mail, uint64_t destination)
{
    uint32_t low = 0, high = mail->group_count;
    while (low < high) { /* they are in the order of the destinations */
        uint32_t middle = low + (high - low) / 2;
        uint64_t here = mail->recipients[mail->groups[middle].end - 1].destination;
        if (here == destination)
            return &mail->groups[middle];
        if (here < destination)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static size_t
bytes_of(const struct mail *mail)
{
    return sizeof *mail + mail->file.envelope.a +
           mail->recipient_count * sizeof *mail->recipients +
           mail->group_count * sizeof *mail->groups;
}

static struct mail **
bucket_of(struct mail_table *table, uint64_t id)
{
    uint64_t mixed = id * UINT64_C(0x9e3779b97f4a7c15);
    return &table->buckets[mixed >> 52];
}

void
mail_table_add(struct mail_table *table, struct mail *mail)
{
    struct mail **bucket = bucket_of(table, mail->id);
    mail->chain = *bucket;
    *bucket = mail;
    table->count++;
    table->bytes += bytes_of(mail);
}

struct mail *
mail_table_find(const struct mail_table *table, uint64_t id)
{
    uint64_t mixed = id * UINT64_C(0x9e3779b97f4a7c15);
    struct mail *found = table->buckets[mixed >> 52];
    while (found && found->id != id)
        found = found->chain;
    return found;
}

void
mail_table_destroy(struct mail_table *table, struct mail *mail)
{
    struct mail **link = bucket_of(table, mail->id);
    while (*link && *link != mail)
        link = &(*link)->chain;
    if (*link) {
        *link = mail->chain;
        table->count--;
        table->bytes -= bytes_of(mail);
    }
    stralloc_free(&mail->file.envelope);
    stralloc_free(&mail->failures);
    free(mail->recipients);
    free(mail->groups);
    free(mail);
}

enum mail_status
mail_read(struct mail **mail, uint64_t id, stralloc *bytes)
{
    struct mail *new = calloc(1, sizeof *new);
    if (!new)
        return MAIL_ERROR;
    new->id = id;
    bytes->len = 0;
    int fd = mail_open(new);
    enum mail_status status = MAIL_ERROR;
    if (fd < 0) {
        status = errno == ENOENT ? MAIL_GONE : MAIL_ERROR;
    } else {
        enum queue_file_status read_status = queue_file_read_whole(fd, &new->file, bytes);
        status = read_status == QUEUE_FILE_OK     ? MAIL_OK
                 : read_status == QUEUE_FILE_TORN ? MAIL_BAD
                                                  : MAIL_ERROR;
        mail_close(fd);
    }
    if (status == MAIL_OK) {
        read_records(new);
        *mail = new;
        return MAIL_OK;
    }
    int saved = errno;
    stralloc_free(&new->file.envelope);
    free(new);
    errno = saved;
    return status;
}
