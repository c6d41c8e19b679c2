#ifndef ADDRESS_LIST_H
#define ADDRESS_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include <skalibs/stralloc.h>

#include "mailbox.h"

/* Address lists of header fields, RFC 5322 3.4 with the obsolete forms of 4.4: comments,
 * quoted strings, domain literals, phrases, groups, source routes, folded lines, empty
 * elements, blanks around dots; and two forms that RFC 5322 does not know but people
 * write: missing commas, and dots and '@' in phrases.
 *
 * A list is worked through from right to left, as qmail has always done it: where it
 * breaks, the addresses to the right of that place have been seen. */

/* visit is called for each address, source route removed; it may change it. It returns
 * true, or false to end the work with ADDRESS_LIST_STOPPED (no memory, usually). */
struct address_visitor {
    bool (*visit)(void *context, struct mailbox *mailbox);
    void *context;
};

enum address_list_status {
    ADDRESS_LIST_OK,
    ADDRESS_LIST_SYNTAX,  /* not understood; *out is as it was before */
    ADDRESS_LIST_STOPPED, /* no memory, or the visitor returned false */
};

/* Work through the list in text, and append it in clean form to *out: commas between
 * all addresses, phrases and comments as they were, the addresses as the visitor left
 * them, lines folded at about 72 columns. *out holds the beginning of the line ("To:")
 * or is empty; each element is put after a blank. An empty address is shown as <>.
 * No newline at the end. */
enum address_list_status address_list_rewrite(stralloc *out, const char *text, size_t len,
                                              const struct address_visitor *visitor);

#endif
