#ifndef INJECT_FIELDS_H
#define INJECT_FIELDS_H

#include "header.h"

/* The header fields that qmail-inject knows; all others pass as they are. */

enum inject_field_id {
    FIELD_FROM,
    FIELD_SENDER_NAME,
    FIELD_REPLY_TO,
    FIELD_TO,
    FIELD_CC,
    FIELD_BCC,
    FIELD_APPARENTLY_TO,
    FIELD_DATE,
    FIELD_MESSAGE_ID,
    FIELD_RETURN_PATH,
    FIELD_ERRORS_TO,
    FIELD_RETURN_RECEIPT_TO,
    FIELD_CONTENT_LENGTH,
    FIELD_MAIL_FOLLOWUP_TO,
    FIELD_RESENT_FROM,
    FIELD_RESENT_SENDER,
    FIELD_RESENT_REPLY_TO,
    FIELD_RESENT_TO,
    FIELD_RESENT_CC,
    FIELD_RESENT_BCC,
    FIELD_RESENT_DATE,
    FIELD_RESENT_MESSAGE_ID,
};

enum inject_field_trait {
    FIELD_ADDRESSES = 1,  /* an address list, which is rewritten */
    FIELD_RECIPIENTS = 2, /* its addresses get the message; it may be wrong */
    FIELD_VISIBLE = 4,    /* its addresses count for Mail-Followup-To */
    FIELD_RESENT = 8,     /* makes the message a resent one, RFC 5322 3.6.6 */
    FIELD_REMOVED = 16,   /* does not leave this machine */
    FIELD_SENDER = 32,    /* its address is the envelope sender */
};

struct inject_field {
    const char *name;
    enum inject_field_id id;
    unsigned int traits;
};

/* returns  the description of a field, or null for one that is not known */
const struct inject_field *inject_field_find(const struct header_field *field);

#endif
