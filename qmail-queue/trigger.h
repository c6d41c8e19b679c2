#ifndef TRIGGER_H
#define TRIGGER_H

#include <stdbool.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

/* Tells qmail-send which messages are new: datagrams of ids at queue/trigger. Nothing
 * is lost when nobody listens: qmail-send looks through the queue when it starts. */

struct trigger {
    int socket;
    stralloc ids;    /* "id\n..." not yet sent */
    bool wants_scan; /* too many, or no memory: "scan" in place of the ids */
};

/* returns true, or false with errno */
bool trigger_open(struct trigger *trigger);

/* Remember one id. */
void trigger_add(struct trigger *trigger, uint64_t id);

/* Send what is remembered, as far as the receiver takes it; never waits.
 * returns  false when something is left: call again soon */
bool trigger_send(struct trigger *trigger);

#endif
