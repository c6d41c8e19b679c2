#ifndef JOB_H
#define JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "handoff.h"

struct channel;
struct job;
struct mail_group;
struct send;

/* The packets between qmail-send and the spawners. */

enum job_status {
    JOB_STARTED,
    JOB_BLOCKED, /* the spawner takes nothing now */
    JOB_MOVED,   /* by what control/ says now, the recipient goes elsewhere */
    JOB_TROUBLE, /* the message cannot be read; logged */
};

/* Hand the next recipients of group over. job holds mail, destination and first; number
 * and count are set, and the job is in channel->jobs when it has started. */
enum job_status job_send(struct send *send, struct channel *channel, struct job *job,
                         const struct mail_group *group);

/* Find the job that a report is about and take it out of channel->jobs.
 * returns  false: it is no report, or about no job of ours */
bool job_take(struct channel *channel, const struct handoff *packet, struct job *job);

/* How many local jobs may be for one user while `running` of `limit` run: four
 * times as many as are free. One slow user gets 80 percent, and some of them always
 * leave room for others. */
uint64_t job_local_limit(uint64_t limit, uint64_t running);

#endif
