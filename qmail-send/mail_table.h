#ifndef MAIL_TABLE_H
#define MAIL_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "mail.h"

/* The messages that are being worked on, by id. */

enum { MAIL_TABLE_BUCKETS = 4096 };

/* All zero is an empty one. */
struct mail_table {
    struct mail *buckets[MAIL_TABLE_BUCKETS];
    size_t count;
    size_t bytes; /* of all envelopes and indexes */
};

/* Add mail, whose groups are made; the table owns it from now on. */
void mail_table_add(struct mail_table *table, struct mail *mail);

struct mail *mail_table_find(const struct mail_table *table, uint64_t id);

/* Keep the text of mail, which is in the table, in memory: message_len bytes are copied.
 * Without memory it is not kept, which is no error. */
void mail_table_keep_body(struct mail_table *table, struct mail *mail, const char *body);

/* Take mail, which is in the table, out and free it. */
void mail_table_destroy(struct mail_table *table, struct mail *mail);

#endif
