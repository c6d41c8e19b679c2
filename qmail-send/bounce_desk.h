#ifndef BOUNCE_DESK_H
#define BOUNCE_DESK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "injection.h"

struct mail;
struct send;

/* Notices on their way into the queue: several at a time, without waiting for any. */

enum {
    BOUNCE_SLOTS = 8, /* notices on their way to qmail-queued: they share its flushes */
    BOUNCE_RETRY_S = 10,
    BOUNCE_UNREADABLE_S = 300,
};

struct bounce_slot {
    struct injection injection;
    struct mail *mail; /* null: free */
    uint64_t deadline_s;
};

struct bounce_line {
    struct mail *first, *last;
};

struct bounce_desk {
    struct bounce_slot slots[BOUNCE_SLOTS];
    struct bounce_line waiting;    /* for a free slot */
    uint64_t retry_s;              /* the queue cannot be reached: not before this time */
    struct bounce_line unreadable; /* messages whose file could not be copied */
    uint64_t unreadable_s;         /* when they wait with the others again */
};

void bounce_desk_init(struct bounce_desk *desk);

/* The pass of mail has ended with failures: tell its sender, then pass_bounced(). */
void bounce_add(struct send *send, struct mail *mail);

/* Hand over what waits, give up what takes too long. */
void bounce_work(struct send *send);

/* The answer for this slot has come. */
void bounce_receive(struct send *send, size_t slot);

/* When bounce_work() has something to do; UINT64_MAX for never. */
uint64_t bounce_next_s(const struct bounce_desk *desk);

/* Nothing is on its way, nor waits for a slot. */
bool bounce_is_idle(const struct bounce_desk *desk);

#endif
