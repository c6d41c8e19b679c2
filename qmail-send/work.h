#ifndef WORK_H
#define WORK_H

#include <stdbool.h>
#include <stdint.h>

struct mail;
struct send;

/* Which message is read next: new ones first, then those that are due. */

/* Do a slice of what waits, and whatever can be started thereby. */
void work_slice(struct send *send);

/* Is there more to do at once? */
bool work_is_pending(const struct send *send);

/* When is there something to do next? Unix seconds, UINT64_MAX for never. */
uint64_t work_next_s(const struct send *send);

/* A message that was told by the trigger. */
void work_add_fresh(struct send *send, uint64_t id);

/* Read a message that waited before this destination; it is in send->mails
 * afterwards and counts as waiting there. returns null when there is nothing (more)
 * to do for it there */
struct mail *work_reload(struct send *send, uint64_t id, uint64_t destination);

/* The operator wants everything tried that is in the queue now, whether we have read it
 * yet or not: each message has a try that begins after this. */
void work_all_due(struct send *send);

#endif
