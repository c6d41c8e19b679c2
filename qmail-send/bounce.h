#ifndef BOUNCE_H
#define BOUNCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "config.h"
#include "injection.h"

struct mail;
struct send;

/* Telling the sender: failure notices in QSBMF, the form that list managers read. At
 * the end of a pass one notice tells all failures of the pass. Only when it is safely in
 * the queue are their recipients marked done, so whatever crashes, no failure is lost. */

enum {
    BOUNCE_SLOTS = 8, /* notices on their way to qmail-queued: they share its flushes */
    BOUNCE_REASON_MAX = 3000,
    BOUNCE_FAILURES_MAX =
        1024 * 1024, /* bytes of paragraphs; above, reasons are shortened */
    BOUNCE_REASON_SHORT = 100,
    BOUNCE_RETRY_S = 10,
};

enum bounce_kind { BOUNCE_SINGLE, BOUNCE_DOUBLE, BOUNCE_TRIPLE };

struct bounce_slot {
    struct injection injection;
    struct mail *mail; /* null: free */
    uint64_t deadline_s;
};

struct bounce_desk {
    struct bounce_slot slots[BOUNCE_SLOTS];
    struct mail *first; /* they wait for a free slot */
    struct mail *last;
    uint64_t retry_s; /* the queue cannot be reached: not before this time */
};

void bounce_desk_init(struct bounce_desk *desk);

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

/* The pass of mail has ended with failures: tell its sender, then pass_bounced(). */
void bounce_add(struct send *send, struct mail *mail);

/* Hand over what waits, give up what takes too long. */
void bounce_work(struct send *send);

/* The answer for this slot has come. */
void bounce_receive(struct send *send, size_t slot);

/* When bounce_work() has something to do; UINT64_MAX for never. */
uint64_t bounce_next_s(const struct bounce_desk *desk);

bool bounce_is_idle(const struct bounce_desk *desk);

#endif
