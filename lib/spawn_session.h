#ifndef SPAWN_SESSION_H
#define SPAWN_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include <sys/types.h>

#include "handoff.h"
#include "spawn.h"

/* The delivery processes of a spawner that take one job after the other by handoff. */

struct spawn_session {
    struct spawn_session *next;
    stralloc key;
    pid_t pid;
    int socket;             /* -1: it has ended and waits for spawn_session_sweep */
    struct spawn_job *jobs; /* not yet reported, oldest first */
    unsigned int job_count;
    bool in_order; /* see struct spawn_limits */
    int64_t idle_since_ms;
};

enum spawn_choice {
    SPAWN_USE,     /* this session */
    SPAWN_START,   /* a new one */
    SPAWN_REPLACE, /* end this idle one, then start a new one */
    SPAWN_HOLD,    /* no room: keep the job */
};

/* Choose the delivery process for a job with this key among list. Changes nothing. */
enum spawn_choice spawn_session_choose(struct spawn_session *list,
                                       const struct spawn_limits *limits,
                                       const stralloc *key,
                                       struct spawn_session **chosen);

/* Start a delivery process fit for job and put it at the head of *list.
 * returns  it, or null with errno */
struct spawn_session *spawn_session_start(struct spawn_session **list,
                                          const struct spawn_role *role,
                                          const struct spawn_job *job);

/* Make job the youngest of session; the session owns it until it is taken back. */
void spawn_session_add(struct spawn_session *session, struct spawn_job *job);

/* Send what has not been sent, and let go of messages that nobody will need again.
 * returns  false when the session is broken: end it */
bool spawn_session_flush(struct spawn_session *session);
bool spawn_session_wants_to_send(const struct spawn_session *session);

/* Take the job with this number out of session; null: it has none. */
struct spawn_job *spawn_session_take(struct spawn_session *session, const char *number);

/* Take out a job that its process cannot have begun, for another to do; null: none. */
struct spawn_job *spawn_session_take_unbegun(struct spawn_session *session);

/* Close the socket: the process sees the end of its work. */
void spawn_session_end(struct spawn_session *session);

/* Free the sessions that have ended and have no jobs left. */
void spawn_session_sweep(struct spawn_session **list);

#endif
