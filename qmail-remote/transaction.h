#ifndef TRANSACTION_H
#define TRANSACTION_H

#include <stdbool.h>
#include <stddef.h>

#include "remote_report.h"
#include "smtp_client.h"

/* One message to its recipients over a greeted connection: RFC 5321 3.3, RFC 2920. */

enum { TRANSACTION_GROUP_MAX = 100 }; /* RCPT commands in one pipelined group */

struct transaction {
    struct smtp_client *client;
    const char *sender;
    const char *const *recipients; /* raw addresses */
    size_t count;
    const char *message;
    size_t message_len;
    struct remote_report *report; /* reset for count recipients; filled in */

    bool is_begun; /* private from here on: the first group has been put */
    bool has_trouble;
    bool is_sender_refused;
    bool may_send; /* DATA was answered with 354 */
    size_t accepted;
};

enum transaction_end {
    TRANSACTION_DONE, /* the report is complete; look at the client before its next use */
    TRANSACTION_LOST, /* the connection ended before the message was on its way: the
                       * report says so, and another connection may be tried */
    TRANSACTION_NO_MEMORY,
};

/* Can these addresses and this message be sent to this server at all? If not the report
 * says why, complete. returns true when the transaction can begin */
bool transaction_is_possible(struct transaction *transaction);

/* Pipelining only: put the first group of commands behind what the client has to write,
 * so that it travels with the end of the message before. */
void transaction_begin(struct transaction *transaction);

/* Say everything up to the reply to DATA; put the message if someone takes it.
 * returns  true when transaction_finish must follow (after a transaction_begin of the
 *          next one, if there is a next); false: *end is how it ended */
bool transaction_run(struct transaction *transaction, enum transaction_end *end);

/* Flush, and read the verdict on the message. */
enum transaction_end transaction_finish(struct transaction *transaction);

#endif
