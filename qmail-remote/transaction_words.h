#ifndef TRANSACTION_WORDS_H
#define TRANSACTION_WORDS_H

#include <skalibs/stralloc.h>

#include "transaction.h"

/* What a transaction says in its report. Lack of memory sets transaction->has_trouble. */

/* Make "peer middle (#status)", a line "Remote host said: " and the last reply.
 * otherwise  the status behind its class when the reply has none: ".0.0"
 * returns    out->s, or "" */
const char *transaction_words_sentence(struct transaction *transaction, stralloc *out,
                                       const char *middle, const char *otherwise);

/* Set the message's outcome: such a sentence, or words around the name of the peer. */
void transaction_words_report_reply(struct transaction *transaction, char letter,
                                    const char *middle, const char *otherwise);
void transaction_words_report_own(struct transaction *transaction, char letter,
                                  const char *before, const char *after);

/* The same end, or TRANSACTION_NO_MEMORY. */
enum transaction_end transaction_words_ended(const struct transaction *transaction,
                                             enum transaction_end end);

/* Report that the connection ended before the message was sent; while it was sent,
 * or, if is_complete, before the verdict; report the verdict. returns how the
 * transaction ended */
enum transaction_end transaction_words_lost(struct transaction *transaction);
enum transaction_end transaction_words_lost_in_message(struct transaction *transaction,
                                                       bool is_complete);
enum transaction_end transaction_words_verdict(struct transaction *transaction);

#endif
