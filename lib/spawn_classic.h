#ifndef SPAWN_CLASSIC_H
#define SPAWN_CLASSIC_H

#include <stdbool.h>

#include <sys/types.h>

#include "spawn.h"

/* Deliveries by a program with qmail's classic contract (QMAILLOCAL, QMAILREMOTE): one
 * run per recipient; arguments as qmail-lspawn and qmail-rspawn give them; message on
 * descriptor 0, report on 1 and 2, exit code. */

enum { SPAWN_CLASSIC_PARALLEL = 10 /* runs of one job at the same time */ };

/* One run of the program. */
struct spawn_run {
    pid_t pid;     /* 0: it has not begun, or has ended */
    int output;    /* -1: closed */
    stralloc text; /* what it wrote; after its end, the report string */
    bool is_done;
};

/* A job done this way. */
struct spawn_classic {
    struct spawn_classic *next;
    struct spawn_job *job;
    struct spawn_run *runs; /* one per recipient */
};

/* Make *classic for job, which it owns from then on; begins no run yet.
 * returns  it, or null with errno; the job is still the caller's */
struct spawn_classic *spawn_classic_new(struct spawn_job *job);

/* Begin runs until SPAWN_CLASSIC_PARALLEL run or none is left. A run that cannot begin
 * is reported as a temporary failure. returns false: no memory */
bool spawn_classic_begin(struct spawn_classic *classic, const struct spawn_role *role);

/* Read what a run has written; at most so many bytes are kept as a report may have. */
void spawn_classic_read(struct spawn_run *run);

/* A process has ended: the end of one of our runs? returns 1 yes, 0 no, -1 no memory */
int spawn_classic_reap(struct spawn_classic *classic, const struct spawn_role *role,
                       pid_t pid, int wait_status);

/* If every run is done, append their report strings to *out.
 * returns 1 done, 0 not yet, -1 no memory */
int spawn_classic_report(const struct spawn_classic *classic, stralloc *out);

/* End every run by SIGKILL. */
void spawn_classic_kill(struct spawn_classic *classic);

/* Give everything back, the job too. Runs that have not ended go on unheard. */
void spawn_classic_free(struct spawn_classic *classic);

#endif
