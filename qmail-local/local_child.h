#ifndef LOCAL_CHILD_H
#define LOCAL_CHILD_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#include <sys/types.h>

#include <skalibs/stralloc.h>

#include "local_job.h"

/* Jobs that may take long (programs, mboxes, forwards) are carried out by forked children
 * of a session. The child's output is the report text, its exit code the result, as
 * if qmail-local had been called for this job alone; the session sends the report.
 * There are as many as there are jobs: concurrencylocal is the limit, and one uid
 * may serve many domains. */

/* A job that waits for its turn. */
struct local_waiting {
    struct local_waiting *next;
    stralloc strings; /* where job's strings point to */
    const char *number;
    struct local_job job;
};

struct local_child {
    pid_t pid;  /* 0: this place is free */
    int pidfd;  /* readable when it has ended */
    int output; /* -1: it has closed it */
    stralloc number;
    stralloc text;
};

struct local_children {
    struct local_child *running;
    struct pollfd *polls; /* two for each place of running, and one for the caller */
    unsigned int room, count;
    struct local_waiting *first, *last;
    int socket;
    bool had_failure; /* a job ended badly, maybe with lines done; the owner resets it */
};

/* Begin; socket is where reports go. returns true, or false with errno */
bool local_children_init(struct local_children *children, int socket);

/* Start a child for job, or let it wait until there are resources for it. Takes
 * job->message over; strings are copied.
 * returns  true; false with errno: nothing started, the message is still the caller's */
bool local_children_add(struct local_children *children, const char *number,
                        struct local_job *job);

/* Fill in what to poll for, children->polls. returns the number of entries */
size_t local_children_poll(struct local_children *children);

/* Read output, send reports of children that have ended, start waiting jobs. Never blocks
 * except to send a report. returns true, or false with errno */
bool local_children_serve(struct local_children *children);

/* Forget the jobs that wait: the spawner is gone, and they will come again. */
void local_children_forget_waiting(struct local_children *children);

/* Free the memory; nothing is waiting any more. */
void local_children_free(struct local_children *children);

/* Is nothing running or waiting? */
bool local_children_idle(const struct local_children *children);

#endif
