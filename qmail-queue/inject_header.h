#ifndef INJECT_HEADER_H
#define INJECT_HEADER_H

#include <stdbool.h>
#include <stddef.h>

#include <skalibs/stralloc.h>

#include "inject_settings.h"

/* The header of a message that a user hands in: its fields are completed, what must not
 * leave is taken out, what is missing is added, and recipients and sender are found. */

struct inject_header {
    struct inject_settings *settings;
    stralloc fields;     /* what stays of the original, rewritten */
    stralloc recipients; /* of To, Cc, Bcc, Apparently-To: raw, each ended by '\0' */
    stralloc resent_recipients; /* of Resent-To, -Cc, -Bcc */
    stralloc visible;           /* of To and Cc, for Mail-Followup-To */
    stralloc sender;            /* of Return-Path, raw */
    bool has_sender;
    bool is_resent;     /* a Resent- field is present */
    unsigned int seen;  /* private */
    stralloc bad_field; /* the field that was refused */
};

enum inject_status {
    INJECT_OK,
    INJECT_BAD_FIELD, /* header->bad_field cannot be understood and must be */
    INJECT_ERROR,     /* errno */
};

/* Work through len bytes of header as inject_input_header leaves it. *header is
 * zero but for settings. */
enum inject_status inject_header_read(struct inject_header *header, const char *bytes,
                                      size_t len);

/* Append the fields that the message lacks, in qmail's order: Date, Message-ID,
 * From, the empty Cc group, Mail-Followup-To; or the Resent- ones.
 * returns INJECT_OK or INJECT_ERROR */
enum inject_status inject_header_complete(struct inject_header *header, stralloc *out);

/* The recipients that the header names: the Resent- ones if there is a Resent- field. */
const stralloc *inject_header_recipients(const struct inject_header *header);

#endif
