#ifndef DESTINATION_H
#define DESTINATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "id_queue.h"
#include "schedule.h"

/* What qmail-send remembers of each destination: who waits for it, how many jobs run, how
 * long it is left alone because it did not answer. Forgotten when there is nothing. */

enum {
    DESTINATION_FIRST_PAUSE_S = 60, /* after a failure; doubled by each that follows */
    DESTINATION_LAST_PAUSE_S = 3600,
    DESTINATION_COUNT_MAX = 50000, /* above, messages go back to the schedule instead */
};

struct destination {
    uint64_t hash;
    char *name;
    bool is_local, is_ready; /* ready: in its channel's list */
    struct id_queue waiting; /* messages, oldest first */
    unsigned int running;    /* jobs */
    unsigned int failures;   /* in a row; while not 0, one job at a time is tried */
    uint64_t failed_s;       /* when it last failed to answer */
    uint64_t retry_s;        /* no job before this time */
    char *last_failure;      /* text of the report, or null */
    struct destination *next_ready;
    uint64_t wake_s;           /* private: what counts of its times in wake */
    struct destination *chain; /* private */
};

struct destination_table {
    struct destination **buckets;
    size_t size;
    size_t count;
    struct schedule wake; /* hash and time, for those that pause */
    uint64_t key[2];
};

/* Make *table empty. returns true, or false with errno */
bool destination_table_init(struct destination_table *table);

uint64_t destination_hash(const struct destination_table *table, bool is_local,
                          const char *name);

/* returns null when we remember nothing of it */
struct destination *destination_find(const struct destination_table *table,
                                     uint64_t hash);

/* The same, and make it when it is not there. returns null for lack of memory */
struct destination *destination_get(struct destination_table *table, uint64_t hash,
                                    bool is_local, const char *name);

bool destination_is_paused(const struct destination *destination, uint64_t now_s);

/* May one more job begin, if limit are allowed? */
bool destination_may_start(const struct destination *destination, uint64_t limit,
                           uint64_t now_s);

/* It did not answer: pause. Failures of jobs that began before the pause count as one.
 * returns  true if a pause begins; false if it pauses already, or memory is short */
bool destination_fail(struct destination_table *table, struct destination *destination,
                      uint64_t now_s, const char *text);

/* It answered. */
void destination_succeed(struct destination *destination);

/* A destination whose pause is over by now_s, or null. Call until null. */
struct destination *destination_wake(struct destination_table *table, uint64_t now_s);

/* Free it if nothing is to be remembered. returns true if it is gone */
bool destination_release(struct destination_table *table,
                         struct destination *destination);

void destination_table_free(struct destination_table *table);

#endif
