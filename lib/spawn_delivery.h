#ifndef SPAWN_DELIVERY_H
#define SPAWN_DELIVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "handoff.h"
#include "spawn.h"
#include "spawn_classic.h"
#include "spawn_job.h"
#include "spawn_session.h"

/* The inside of a spawner: where each job is, and how it ends; spawn.c is the loop. */

/* A report that qmail-send has not taken yet. */
struct spawn_report {
    struct spawn_report *next;
    size_t len;
    char strings[];
};

struct spawn {
    const struct spawn_role *role;
    struct spawn_session *sessions;
    struct spawn_classic *classics;
    struct spawn_line resolving;  /* wait for collect, in the order of asking */
    struct spawn_line waiting;    /* wait for a delivery process */
    struct spawn_report *reports; /* oldest first */
    struct handoff packet;
    stralloc text;   /* a report in the making */
    bool is_changed; /* something has happened that may let a waiting job go */
    bool is_closed;  /* qmail-send has gone */
    bool is_broken;  /* we cannot go on; errno tells */
};

enum { SPAWN_FD_JOBS = 0 };

/* Send what qmail-send will take. */
void spawn_flush_reports(struct spawn *spawn);

/* Report the same letter and text for each recipient, and forget the job; the second with
 * a text that begins with the name of the delivery program: "Z", name, what. */
void spawn_decide(struct spawn *spawn, struct spawn_job *job, const char *verdict);
void spawn_decide_program(struct spawn *spawn, struct spawn_job *job, const char *what);

/* Read and send what a delivery process's socket is ready for. */
void spawn_serve_session(struct spawn *spawn, struct spawn_session *session);

/* End a delivery process: no jobs to it, no reports from it. Jobs that it cannot have
 * begun go to another; if any remain they wait for its exit status, and the event
 * loop soon kills it. */
void spawn_close_session(struct spawn *spawn, struct spawn_session *session);

/* Some child has ended. */
void spawn_bury(struct spawn *spawn, pid_t pid, int wait_status);

/* Give waiting jobs to delivery processes; later ones overtake one whose key is full. */
void spawn_dispatch(struct spawn *spawn);

/* Give everything back. The delivery processes see the end of their work and finish
 * what they have begun. */
void spawn_free(struct spawn *spawn);

#endif
