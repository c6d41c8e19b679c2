#ifndef SEND_H
#define SEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "bounce_desk.h"
#include "config.h"
#include "destination.h"
#include "event_log.h"
#include "handoff.h"
#include "id_queue.h"
#include "id_set.h"
#include "mail_table.h"
#include "route.h"
#include "scan.h"
#include "schedule.h"

/* All that qmail-send knows, passed to every module. An id in `known` is in exactly one
 * of these: fresh, due, waiting before one destination, or mails. */

enum { CHANNEL_LOCAL, CHANNEL_REMOTE, CHANNELS };

/* One job that a spawner works on. */
struct job {
    uint64_t number; /* delivery number of the first recipient */
    struct mail *mail;
    struct destination *destination;
    uint32_t first; /* recipients[first .. first + count - 1] */
    uint32_t count;
};

struct channel {
    int socket;
    uint64_t limit;
    bool is_blocked; /* the spawner takes no packet now */
    struct job *jobs;
    size_t job_count;
    size_t job_room;
    struct destination *first_ready; /* they have waiting messages and may have room */
    struct destination *last_ready;
};

enum { OPERATORS_MAX = 8 };

struct send {
    struct config config;
    struct event_log log;
    uint64_t now_s;
    struct id_set known;
    struct id_queue fresh; /* told by the trigger, not yet read */
    struct schedule due;
    uint64_t unseen; /* entries of due that are not yet checked */
    struct destination_table destinations;
    struct mail_table mails;
    struct mail *first_touched; /* to be looked at by pass_settle() */
    struct channel channels[CHANNELS];
    uint64_t next_number;
    uint64_t wanted_number; /* earlier deliveries began before everything was made due */
    struct bounce_desk bounces;
    struct scan scan;
    int trigger, control;
    int operators[OPERATORS_MAX]; /* -1: free */
    struct handoff packet;
    struct route route;
    stralloc bytes; /* the file of the message read last, if it was small */
    uint64_t bytes_id;
    stralloc scratch;
    bool is_exiting;
    uint64_t exit_s; /* when is_exiting: not later than this for bounces */
    bool is_fatal;   /* the reason is in the log: exit 111 */
};

/* Log "alert: reason" and end with exit code 111 after this turn; s6 starts all anew. */
void send_fail(struct send *send, const char *reason, int error);

#endif
