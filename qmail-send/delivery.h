#ifndef DELIVERY_H
#define DELIVERY_H

#include <stdbool.h>

struct destination;
struct mail;
struct mail_group;
struct send;

/* Jobs for the spawners, and what they report. */

/* The destination has messages waiting: let it take part in the next dispatch. */
void delivery_make_ready(struct send *send, struct destination *destination);

/* Start what may be started, one job per destination in turn. */
void delivery_dispatch(struct send *send);

/* Is there something that delivery_dispatch() would look at? */
bool delivery_is_pending(const struct send *send);

/* Read the reports that have come from one spawner. */
void delivery_receive(struct send *send, int channel);

/* Give up a group of an expired message whose destination pauses: it shares the fate of
 * the job that found the destination dead. */
void delivery_expire(struct send *send, struct mail *mail, struct mail_group *group,
                     const struct destination *destination);

/* Log how many jobs run. */
void delivery_log_status(struct send *send);

#endif
