#ifndef SPAWN_H
#define SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "account.h"
#include "message.h"

/* A spawner: takes jobs from qmail-send (descriptor 0), gives each to a delivery process,
 * and reports. qmail-lspawn and qmail-rspawn are this module with another role. */

/* A job as qmail-send wrote it, and what the role made of it. */
struct spawn_job {
    struct spawn_job *next;
    stralloc strings;   /* holds all of the following */
    const char *number; /* text that the report repeats */
    const char *id;
    const char *sender;
    const char *destination;
    const char *host;
    const char *recipients; /* the first; others follow, each behind the NUL before */
    unsigned int recipient_count;
    struct message message;
    int64_t deadline_ms;
    bool is_sent;
    unsigned int attempts; /* to give it to a delivery process */

    struct account identity; /* whom the delivery process becomes; see account_become */
    stralloc key;            /* jobs of the same key may share a delivery process */
    stralloc request;        /* the strings for the delivery process */
    const char *verdict;     /* SPAWN_DECIDED: letter and text, static */
};

enum spawn_answer {
    SPAWN_READY,   /* identity, key and request are there */
    SPAWN_WAITS,   /* ask again with collect, in the order of the jobs */
    SPAWN_DECIDED, /* no delivery is needed or possible: verdict is there */
};

struct spawn_limits {
    unsigned int per_key; /* delivery processes of one key */
    unsigned int total;   /* delivery processes */
    unsigned int ahead;   /* jobs that may wait behind another in one process */
    bool in_order;        /* a process works them one after the other, not all at once */
    uint64_t idle_s;      /* so long a process without work is kept */
};

struct spawn_role {
    const char *name;            /* "qmail-local" */
    const char *program;         /* "bin/qmail-local" */
    const char *classic;         /* program with the classic arguments instead; or null */
    const char *classic_first;   /* its first argument; or null */
    unsigned int classic_shared; /* strings of request, from the third, that it gets */
    bool classic_recipient;      /* and then one recipient */
    bool (*classic_report)(stralloc *out, const char *name, int wait_status,
                           const stralloc *output);
    struct spawn_limits limits;

    void *context; /* for these five */
    enum spawn_answer (*prepare)(void *context, struct spawn_job *job);
    enum spawn_answer (*collect)(void *context, struct spawn_job *job);
    int (*wait_socket)(void *context); /* readable when collect has news; -1 */
    void (*crashed)(void *context);    /* a process ended with jobs unreported; or null */
    void (*warn)(const char *text, const char *object); /* a line for the log */
};

/* Read control/sessions (total) and control/sessionidle (idle_s) where they are; what
 * is not there keeps its value. returns true, or false with errno (EINVAL: no number) */
bool spawn_read_limits(struct spawn_limits *limits);

/* Work until qmail-send goes away. Closes inherited descriptors above 2 first.
 * returns  true; false with errno when it cannot go on (memory, descriptor 0) */
bool spawn_run(const struct spawn_role *role);

#endif
