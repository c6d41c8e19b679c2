#include "mail.h"

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

void
mail_read_records(struct mail *mail)
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

void
mail_free(struct mail *mail)
{
    stralloc_free(&mail->file.envelope);
    stralloc_free(&mail->failures);
    free(mail->recipients);
    free(mail->groups);
    free(mail->body);
    free(mail);
}
