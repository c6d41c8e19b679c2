#ifndef SMTP_REPLY_H
#define SMTP_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "address.h"
#include "smtp_session.h"

/* Every reply that a client can get; the words are in smtp_reply.c. */
enum smtp_reply {
    SMTP_BYE,
    SMTP_HELP,
    SMTP_OK,
    SMTP_OK_RESET,
    SMTP_OK_SENDER,
    SMTP_OK_RECIPIENT,
    SMTP_GO_AHEAD,
    SMTP_CANNOT_VERIFY,
    SMTP_TIMEOUT,
    SMTP_NO_MEMORY,
    SMTP_NO_CONTROL,
    SMTP_TOO_MANY_ERRORS,
    SMTP_TOO_MANY_COMMANDS,
    SMTP_TOO_MANY_RECIPIENTS,
    SMTP_UNKNOWN,
    SMTP_LINE_TOO_LONG,
    SMTP_LINE_ENDS_BADLY,
    SMTP_LINE_HAS_CONTROLS,
    SMTP_HELO_SYNTAX,
    SMTP_SYNTAX,
    SMTP_MAIL_SYNTAX,
    SMTP_RCPT_SYNTAX,
    SMTP_BAD_SENDER_ADDRESS,
    SMTP_BAD_RECIPIENT_ADDRESS,
    SMTP_NOT_ASCII,
    SMTP_BAD_VALUE,
    SMTP_NOT_IMPLEMENTED,
    SMTP_MAIL_TWICE,
    SMTP_WANT_MAIL,
    SMTP_WANT_RCPT,
    SMTP_TOO_BIG,
    SMTP_BAD_MAIL_FROM,
    SMTP_NO_RELAY,
    SMTP_LOOP,
    SMTP_BARE_LINE_END,
    SMTP_BAD_PARAMETER,
};

/* SMTP_OK for a sound path; bad for one that is not, if there is no better word. */
enum smtp_reply smtp_reply_for_path(enum address_status status, enum smtp_reply bad);

/* Say yes. */
void smtp_reply(struct smtp_session *session, enum smtp_reply reply);

/* Say no: count it as an error and log it.
 * subject  the address, or what else was refused; foreign text, may be null */
void smtp_refuse(struct smtp_session *session, enum smtp_reply reply,
                 const char *subject);

/* The same, and end the session. */
void smtp_refuse_and_end(struct smtp_session *session, enum smtp_reply reply);

/* Replies that carry more than fixed words. None of the first three has an enhanced code:
 * RFC 2034 4. */
void smtp_reply_greeting(struct smtp_session *session);
void smtp_reply_helo(struct smtp_session *session);
void smtp_reply_ehlo(struct smtp_session *session, uint64_t databytes);

/* The end of DATA, by session->receipt: accepted, or why not. */
void smtp_reply_queued(struct smtp_session *session);

#endif
