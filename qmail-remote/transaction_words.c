#include "transaction_words.h"

#include "text.h"

/* Build "peer middle (#status)\nRemote host said: reply", and note lack of memory. */
const char *
transaction_words_sentence(struct transaction *transaction, stralloc *out,
                           const char *middle, const char *otherwise)
{
    struct smtp_client *client = transaction->client;
    char status[REMOTE_REPLY_STATUS_MAX];

    remote_reply_enhanced(status, &client->reply, otherwise);
    if (status[0] != '5')
        status[0] = '4'; /* 2yz or 3yz where it has no place: perhaps another time */
    if (!text_copy(out, client->peer.s) || !text_append(out, middle) ||
        !text_append(out, " (#") || !text_append(out, status) ||
        !text_append(out, ")\nRemote host said: ") ||
        !text_append(out, client->reply.text.s)) {
        transaction->has_trouble = true;
        return "";
    }
    return out->s;
}

/* Set the message's outcome from the last reply. */
void
transaction_words_report_reply(struct transaction *transaction, char letter,
                               const char *middle, const char *otherwise)
{
    stralloc text = STRALLOC_ZERO;
    transaction_words_sentence(transaction, &text, middle, otherwise);
    if (!remote_report_message(transaction->report, letter, text.s ? text.s : ""))
        transaction->has_trouble = true;
    stralloc_free(&text);
}

/* Set the message's outcome in words of our own. */
void
transaction_words_report_own(struct transaction *transaction, char letter,
                             const char *before, const char *after)
{
    stralloc text = STRALLOC_ZERO;
    if (!text_copy(&text, before) || !text_append(&text, transaction->client->peer.s) ||
        !text_append(&text, after) ||
        !remote_report_message(transaction->report, letter, text.s))
        transaction->has_trouble = true;
    stralloc_free(&text);
}

enum transaction_end
transaction_words_ended(const struct transaction *transaction, enum transaction_end end)
{
    return transaction->has_trouble ? TRANSACTION_NO_MEMORY : end;
}

/* The connection failed before the message was sent. */
enum transaction_end
transaction_words_lost(struct transaction *transaction)
{
    stralloc text = STRALLOC_ZERO;
    struct smtp_client *client = transaction->client;
    if (client->has_failed) {
        if (!text_copy(&text, ", but ") || !text_append(&text, client->reason) ||
            !text_append(&text, ". (#4.4.2)\n"))
            transaction->has_trouble = true;
        transaction_words_report_own(transaction, 'Z', "Connected to ",
                                     text.s ? text.s : "");
    } else {
        transaction_words_report_reply(transaction, 'Z', " is closing the connection.",
                                       ".3.2");
    }
    stralloc_free(&text);
    return transaction_words_ended(transaction, TRANSACTION_LOST);
}

/* The connection failed while the message was sent, or before the verdict. */
enum transaction_end
transaction_words_lost_in_message(struct transaction *transaction, bool is_complete)
{
    struct smtp_client *client = transaction->client;
    stralloc text = STRALLOC_ZERO;

    if (!text_copy(&text, ", but ") || !text_append(&text, client->reason) ||
        !text_append(&text, is_complete
                                ? " before it said whether it has the message. Possible "
                                  "duplicate! (#4.4.2)\n"
                                : " in the middle of the message. (#4.4.2)\n"))
        transaction->has_trouble = true;
    transaction_words_report_own(transaction, 'Z', "Connected to ", text.s ? text.s : "");
    stralloc_free(&text);
    return transaction_words_ended(transaction, TRANSACTION_DONE);
}

enum transaction_end
transaction_words_verdict(struct transaction *transaction)
{
    struct smtp_client *client = transaction->client;
    switch (remote_reply_class(&client->reply)) {
    case 2: {
        stralloc text = STRALLOC_ZERO;
        if (!text_copy(&text, " accepted message.\nRemote host said: ") ||
            !text_append(&text, client->reply.text.s))
            transaction->has_trouble = true;
        transaction_words_report_own(transaction, 'K', "", text.s ? text.s : "");
        stralloc_free(&text);
        break;
    }
    case 5:
        transaction_words_report_reply(transaction, 'D', " refused the message.", ".0.0");
        break;
    default:
        transaction_words_report_reply(transaction, 'Z', " did not take the message.",
                                       ".0.0");
    }
    return transaction_words_ended(transaction, TRANSACTION_DONE);
}
