#ifndef MAILBOX_H
#define MAILBOX_H

#include <stdbool.h>
#include <stddef.h>

#include <skalibs/stralloc.h>

/* One address of a header field, taken apart, RFC 5322 3.4.1. Functions that return false
 * had no memory; what they append to leaves s[len] == '\0', not counted. */

struct mailbox {
    stralloc local; /* without quoting; s[len] == '\0' in both */
    stralloc host;  /* a domain, or a literal with its brackets */
    bool has_at;    /* an '@' was there: "<>" and "user" have none */
};

/* Append the address as it stands in a header: address_append_quoted(). */
bool mailbox_append(stralloc *out, const struct mailbox *mailbox);

/* Append the raw form of an envelope, "local@host" without quoting. */
bool mailbox_append_raw(stralloc *out, const struct mailbox *mailbox);

/* Is it the empty address, "<>"? */
bool mailbox_is_empty(const struct mailbox *mailbox);

void mailbox_free(struct mailbox *mailbox);

#endif
