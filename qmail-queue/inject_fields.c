#include "inject_fields.h"

#include <stddef.h>

enum {
    PEOPLE = FIELD_ADDRESSES,
    TO_OR_CC = FIELD_ADDRESSES | FIELD_RECIPIENTS | FIELD_VISIBLE,
    HIDDEN = FIELD_ADDRESSES | FIELD_RECIPIENTS | FIELD_REMOVED,
    RESENT_TO_OR_CC = FIELD_ADDRESSES | FIELD_RECIPIENTS | FIELD_RESENT,
};

static const struct inject_field fields[] = {
    {"To", FIELD_TO, TO_OR_CC},
    {"From", FIELD_FROM, PEOPLE},
    {"Cc", FIELD_CC, TO_OR_CC},
    {"Bcc", FIELD_BCC, HIDDEN},
    {"Date", FIELD_DATE, 0},
    {"Message-ID", FIELD_MESSAGE_ID, 0},
    {"Sender", FIELD_SENDER_NAME, PEOPLE},
    {"Reply-To", FIELD_REPLY_TO, PEOPLE},
    {"Return-Path", FIELD_RETURN_PATH, PEOPLE | FIELD_SENDER | FIELD_REMOVED},
    {"Apparently-To", FIELD_APPARENTLY_TO, FIELD_ADDRESSES | FIELD_RECIPIENTS},
    {"Errors-To", FIELD_ERRORS_TO, PEOPLE},
    {"Return-Receipt-To", FIELD_RETURN_RECEIPT_TO, PEOPLE},
    {"Content-Length", FIELD_CONTENT_LENGTH, FIELD_REMOVED},
    {"Mail-Followup-To", FIELD_MAIL_FOLLOWUP_TO, 0},
    {"Resent-From", FIELD_RESENT_FROM, PEOPLE | FIELD_RESENT},
    {"Resent-Sender", FIELD_RESENT_SENDER, PEOPLE | FIELD_RESENT},
    {"Resent-Reply-To", FIELD_RESENT_REPLY_TO, PEOPLE | FIELD_RESENT},
    {"Resent-To", FIELD_RESENT_TO, RESENT_TO_OR_CC},
    {"Resent-Cc", FIELD_RESENT_CC, RESENT_TO_OR_CC},
    {"Resent-Bcc", FIELD_RESENT_BCC, HIDDEN | FIELD_RESENT},
    {"Resent-Date", FIELD_RESENT_DATE, FIELD_RESENT},
    {"Resent-Message-ID", FIELD_RESENT_MESSAGE_ID, FIELD_RESENT},
};

const struct inject_field *
inject_field_find(const struct header_field *field)
{
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (header_field_is(field, fields[i].name))
            return fields + i;
    return NULL;
}
