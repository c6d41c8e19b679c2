#ifndef PASS_H
#define PASS_H

#include <stdbool.h>
#include <stdint.h>

#include "schedule.h"

struct destination;
struct mail;
struct send;

/* One pass of a message: it is put before its destinations, and when each
 * recipient has been tried or skipped it ends: removed, or scheduled anew, or its
 * sender is told first. */

/* Put groups of mail before their destinations, as many as one message may have waiting,
 * so that one with thousands of destinations leaves room for others. */
void pass_post_groups(struct send *send, struct mail *mail);

/* Would it take more memory than all messages that must stay in memory may have? */
bool pass_is_too_much(const struct send *send, const struct mail *mail);

/* Something about mail has changed: pass_settle() will look whether its pass is over. One
 * whose bounce is on the way is left alone: it may be freed before that. */
void pass_touch(struct send *send, struct mail *mail);

/* End the passes that are over, drop messages that can wait on disk. Frees messages. */
void pass_settle(struct send *send);

/* The bounce of mail is in the queue, or was discarded: its failed recipients are done.
 * Frees mail. */
void pass_bounced(struct send *send, struct mail *mail);

/* The destination pauses: messages that cannot wait before it are told so. */
void pass_pause(struct send *send, struct destination *destination);

/* The operator wants everything tried: messages of which a recipient has been tried or
 * skipped in this pass, or is being tried, have their next pass when this one is over. */
void pass_all_due(struct send *send);

/* We are to exit: end every pass where it is. */
void pass_stop(struct send *send);

/* Nothing remains to be done: remove the file, log "end msg". Frees mail. */
void pass_finish(struct send *send, struct mail *mail);

/* Let a known message be looked at again at due_s. */
void pass_schedule(struct send *send, uint64_t id, uint64_t due_s,
                   enum schedule_mark mark);

#endif
