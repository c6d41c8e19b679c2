#ifndef SCAN_H
#define SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include <dirent.h>

struct send;

/* Reading queue/mess: at start, now and then, and when qmail-queued asks for it.
 * A slice per turn of the main loop; what is found is put into the schedule, oldest
 * first, and checked there. */

enum {
    SCAN_INTERVAL_S = 1500,
    SCAN_AGAIN_S = 10,      /* when a folder could not be read */
    SCAN_SLICE = 200,       /* names per turn */
    SCAN_WARNINGS_MAX = 20, /* about foreign files, per scan */
};

struct scan {
    bool is_running;
    bool is_wanted;  /* begin another one */
    bool is_partial; /* a folder could not be read */
    bool is_due;     /* what this one finds is due, whatever its file says */
    bool is_next_due;
    DIR *directory;
    unsigned int split; /* the folder that is read */
    uint64_t begun_us;  /* newer messages are the trigger's */
    uint64_t next_s;
    unsigned int warnings;
};

/* Read on, if a scan runs or is due. */
void scan_slice(struct send *send);

/* The operator wants everything tried: what a scan that runs, or is to come at once,
 * finds is due. */
void scan_all_due(struct send *send);

#endif
