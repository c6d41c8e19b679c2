#include "transaction.h"

#include <string.h>

#include "address.h"
#include "transaction_words.h"
#include "wire.h"

enum { CODE_GO_ON = 3 };

/* A control byte would end the command, or lead to another address. */
static bool
is_clean(const char *address)
{
    for (; *address; address++)
        if ((unsigned char)*address < ' ' || *address == 127)
            return false;
    return true;
}

/* Refuse here the recipients that cannot be said in SMTP. returns how many are left */
static size_t
refuse_unclean(struct transaction *transaction)
{
    size_t left = 0;
    for (size_t i = 0; i < transaction->count; i++) {
        if (is_clean(transaction->recipients[i]))
            left++;
        else if (!remote_report_recipient(transaction->report, i, 'h',
                                          "The address holds control bytes, which SMTP "
                                          "cannot carry. (#5.1.3)\n"))
            transaction->has_trouble = true;
    }
    return left;
}

bool
transaction_is_possible(struct transaction *transaction)
{
    const struct smtp_client *client = transaction->client;

    if (!is_clean(transaction->sender)) {
        transaction_words_report_own(
            transaction, 'D', "Not sent to ",
            ": the sender's address holds control bytes. (#5.1.7)\n");
        return false;
    }
    if (!refuse_unclean(transaction)) {
        transaction_words_report_own(transaction, 'D', "Nothing sent to ", ".\n");
        return false;
    }
    if (client->has_size && client->size_max &&
        transaction->message_len > client->size_max / 2 &&
        wire_measure(transaction->message, transaction->message_len).bytes >
            client->size_max) {
        transaction_words_report_own(transaction, 'D', "This message is larger than ",
                                     " takes, as it says itself. (#5.3.4)\n");
        return false;
    }
    return true;
}

static void
put_address(struct transaction *transaction, const char *address)
{
    if (address_append_quoted(&transaction->client->out, address))
        return;
    transaction->has_trouble = true;
    smtp_client_fail(transaction->client,
                     "there is no memory"); /* half a command waits */
}

static void
put_mail(struct transaction *transaction)
{
    struct smtp_client *client = transaction->client;
    struct wire_size size = {.bytes = 0};

    if (client->has_size || client->has_8bitmime)
        size = wire_measure(transaction->message, transaction->message_len);
    smtp_client_put(client, "MAIL FROM:<");
    put_address(transaction, transaction->sender);
    smtp_client_put(client, ">");
    if (client->has_size) { /* RFC 1870 3 */
        smtp_client_put(client, " SIZE=");
        smtp_client_put_number(client, size.bytes);
    }
    if (client->has_8bitmime && size.has_8bit) /* RFC 6152 3 */
        smtp_client_put(client, " BODY=8BITMIME");
    smtp_client_put(client, "\r\n");
}

/* Has refuse_unclean() already spoken? */
static bool
is_refused_here(const struct transaction *transaction, size_t index)
{
    return transaction->report->recipients[index].letter == 'h';
}

static void
put_recipient(struct transaction *transaction, size_t index)
{
    if (is_refused_here(transaction, index))
        return;
    smtp_client_put(transaction->client, "RCPT TO:<");
    put_address(transaction, transaction->recipients[index]);
    smtp_client_put(transaction->client, ">\r\n");
}

/* The end of the group that begins with recipient first. */
static size_t
group_end(const struct transaction *transaction, size_t first)
{
    size_t left = transaction->count - first;
    return first + (left < TRANSACTION_GROUP_MAX ? left : TRANSACTION_GROUP_MAX);
}

static void
put_group(struct transaction *transaction, size_t first)
{
    size_t end = group_end(transaction, first);
    if (first == 0 && transaction->client->needs_reset)
        smtp_client_put(transaction->client, "RSET\r\n");
    if (first == 0)
        put_mail(transaction);
    for (size_t i = first; i < end; i++)
        put_recipient(transaction, i);
    if (end == transaction->count)
        smtp_client_put(transaction->client, "DATA\r\n");
}

void
transaction_begin(struct transaction *transaction)
{
    put_group(transaction, 0);
    transaction->is_begun = true;
}

/* Read a reply; false when the connection is of no use any more. */
static bool
read_reply(struct transaction *transaction)
{
    return smtp_client_read_reply(transaction->client) &&
           !transaction->client->is_closing;
}

/* The reply to RSET; after it there is no transaction, whatever it says. */
static bool
take_reset_reply(struct transaction *transaction)
{
    if (!transaction->client->needs_reset)
        return true;
    transaction->client->needs_reset = false;
    return read_reply(transaction);
}

static bool
take_mail_reply(struct transaction *transaction)
{
    struct smtp_client *client = transaction->client;

    if (!read_reply(transaction))
        return false;
    unsigned int class = remote_reply_class(&client->reply);
    if (class != 2) {
        transaction->is_sender_refused = true;
        transaction_words_report_reply(transaction, class == 5 ? 'D' : 'Z',
                                       " refused the sender.", ".0.0");
    } else {
        client->needs_reset = true; /* until DATA ends the transaction */
    }
    return true;
}

static bool
take_recipient_reply(struct transaction *transaction, size_t index)
{
    stralloc text = STRALLOC_ZERO;
    if (is_refused_here(transaction, index))
        return true;
    bool ok = read_reply(transaction);
    unsigned int class = remote_reply_class(&transaction->client->reply);

    if (!ok || transaction->is_sender_refused)
        return ok;
    const char *words = "";
    if (class != 2)
        words = transaction_words_sentence(transaction, &text, " refused this recipient.",
                                           ".0.0");
    else
        transaction->accepted++;
    if (!remote_report_recipient(transaction->report, index,
                                 class == 2   ? 'r'
                                 : class == 5 ? 'h'
                                              : 's',
                                 words))
        transaction->has_trouble = true;
    stralloc_free(&text);
    return true;
}

/* The reply to DATA. RFC 2920 3.1: it may be 354 although no recipient was accepted. */
static bool
take_data_reply(struct transaction *transaction)
{
    struct smtp_client *client = transaction->client;
    if (!read_reply(transaction))
        return false;
    unsigned int class = remote_reply_class(&client->reply);
    transaction->may_send = class == CODE_GO_ON;
    if (transaction->may_send || transaction->is_sender_refused || !transaction->accepted)
        return true;
    transaction_words_report_reply(transaction, class == 5 ? 'D' : 'Z',
                                   " refused the command DATA.", ".0.0");
    if (class == 2)
        client->is_closing = true; /* it has lost the thread: do not go on with it */
    return true;
}

/* Commands in groups, the replies afterwards. */
static bool
converse_pipelined(struct transaction *transaction)
{
    for (size_t first = 0, end; first < transaction->count; first = end) {
        end = group_end(transaction, first);
        if (first || !transaction->is_begun)
            put_group(transaction, first);
        if (!smtp_client_flush(transaction->client) ||
            (first == 0 &&
             (!take_reset_reply(transaction) || !take_mail_reply(transaction))))
            return false;
        for (size_t i = first; i < end; i++)
            if (!take_recipient_reply(transaction, i))
                return false;
        if (transaction->is_sender_refused && end < transaction->count)
            return true; /* what is left would be refused like the others */
    }
    return take_data_reply(transaction);
}

/* One command at a time, for a server without PIPELINING. */
static bool
converse_stepwise(struct transaction *transaction)
{
    struct smtp_client *client = transaction->client;

    if (client->needs_reset)
        smtp_client_put(client, "RSET\r\n");
    if (!smtp_client_flush(client) || !take_reset_reply(transaction))
        return false;
    put_mail(transaction);
    if (!smtp_client_flush(client) || !take_mail_reply(transaction))
        return false;
    if (transaction->is_sender_refused)
        return true;
    for (size_t i = 0; i < transaction->count; i++) {
        put_recipient(transaction, i);
        if (!smtp_client_flush(client) || !take_recipient_reply(transaction, i))
            return false;
    }
    if (!transaction->accepted)
        return true;
    smtp_client_put(client, "DATA\r\n");
    return smtp_client_flush(client) && take_data_reply(transaction);
}

/* Nobody takes the message. A server that waits for it all the same gets an empty one. */
static enum transaction_end
end_without_message(struct transaction *transaction)
{
    struct smtp_client *client = transaction->client;
    if (!transaction->is_sender_refused && !transaction->accepted)
        transaction_words_report_own(transaction, 'D', "", " refused every recipient.\n");
    if (transaction->may_send) {
        smtp_client_put(client, ".\r\n");
        if (smtp_client_flush(client) && smtp_client_read_reply(client))
            client->needs_reset = false;
    }
    return transaction_words_ended(transaction, TRANSACTION_DONE);
}

bool
transaction_run(struct transaction *transaction, enum transaction_end *end)
{
    struct smtp_client *client = transaction->client;
    bool ok = client->has_pipelining ? converse_pipelined(transaction)
                                     : converse_stepwise(transaction);
    if (!ok) {
        *end = transaction_words_lost(transaction);
        return false;
    }
    if (!transaction->may_send || !transaction->accepted ||
        transaction->is_sender_refused) {
        *end = end_without_message(transaction);
        return false;
    }
    client->needs_reset = false; /* the end of the message ends the transaction */
    if (!smtp_client_send_message(client, transaction->message,
                                  transaction->message_len)) {
        *end = smtp_client_read_last_words(client)
                   ? transaction_words_verdict(transaction)
                   : transaction_words_lost_in_message(transaction, false);
        return false;
    }
    return true;
}

enum transaction_end
transaction_finish(struct transaction *transaction)
{
    struct smtp_client *client = transaction->client;
    if (!smtp_client_flush(client)) {
        if (smtp_client_read_last_words(client))
            return transaction_words_verdict(transaction);
        return transaction_words_lost_in_message(transaction, true);
    }
    if (!smtp_client_read_reply(client))
        return transaction_words_lost_in_message(transaction, true);
    return transaction_words_verdict(transaction);
}
