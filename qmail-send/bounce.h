#ifndef BOUNCE_H
#define BOUNCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "config.h"

/* Telling the sender: failure notices in QSBMF, the form that list managers read. At
 * the end of a pass one notice tells all failures of the pass. Only when it is safely in
 * the queue are their recipients marked done, so whatever crashes, no failure is lost. */

enum {
    BOUNCE_REASON_MAX = 3000,
    BOUNCE_FAILURES_MAX =
        1024 * 1024, /* bytes of paragraphs; above, reasons are shortened */
    BOUNCE_REASON_SHORT = 100,
};

enum bounce_kind { BOUNCE_SINGLE, BOUNCE_DOUBLE, BOUNCE_TRIPLE };

/* A bounce of a message from sender: "" gives a double one, "#@[]" a triple one. */
enum bounce_kind bounce_kind_of(const char *sender);

/* Append the paragraph of one failed recipient. Control bytes in the address become
 * '_', empty lines in the reason '/', and it is cut at BOUNCE_REASON_MAX, or at
 * BOUNCE_REASON_SHORT once there are BOUNCE_FAILURES_MAX bytes: every recipient is named,
 * and memory stays bounded.
 * returns  true, or false for lack of memory */
bool bounce_append_failure(stralloc *failures, const char *address, const char *reason);

/* Whom to tell about a message from sender: of a list's sender (VERP) the list's address.
 * kind  not BOUNCE_TRIPLE. *recipient is replaced. returns false for lack of memory */
bool bounce_find_recipient(stralloc *recipient, const struct config *config,
                           enum bounce_kind kind, const char *sender);

/* Replace *text by the notice up to where the copy of the original follows. */
bool bounce_make_text(stralloc *text, const struct config *config, enum bounce_kind kind,
                      const char *sender, const stralloc *failures, uint64_t now_s);

#endif
