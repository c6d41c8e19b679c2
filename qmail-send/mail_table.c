#include "mail_table.h"

#include <stdlib.h>
#include <string.h>

static size_t
bytes_of(const struct mail *mail)
{
    return sizeof *mail + mail->file.envelope.a +
           mail->recipient_count * sizeof *mail->recipients +
           mail->group_count * sizeof *mail->groups +
           (mail->body ? (size_t)mail->file.message_len : 0);
}

static size_t
bucket_of(uint64_t id)
{
    uint64_t mixed = id * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(mixed >> 32) % MAIL_TABLE_BUCKETS;
}

void
mail_table_add(struct mail_table *table, struct mail *mail)
{
    struct mail **bucket = &table->buckets[bucket_of(mail->id)];
    mail->chain = *bucket;
    *bucket = mail;
    table->count++;
    table->bytes += bytes_of(mail);
}

struct mail *
mail_table_find(const struct mail_table *table, uint64_t id)
{
    struct mail *found = table->buckets[bucket_of(id)];
    while (found && found->id != id)
        found = found->chain;
    return found;
}

void
mail_table_keep_body(struct mail_table *table, struct mail *mail, const char *body)
{
    size_t len = (size_t)mail->file.message_len;
    table->bytes -= bytes_of(mail);
    mail->body = malloc(len + 1);
    if (mail->body)
        memcpy(mail->body, body, len);
    table->bytes += bytes_of(mail);
}

void
mail_table_destroy(struct mail_table *table, struct mail *mail)
{
    struct mail **link = &table->buckets[bucket_of(mail->id)];
    while (*link != mail)
        link = &(*link)->chain;
    *link = mail->chain;
    table->count--;
    table->bytes -= bytes_of(mail);
    mail_free(mail);
}
