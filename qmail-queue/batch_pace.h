#ifndef BATCH_PACE_H
#define BATCH_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* How long to gather before a flush: see batch.h. */
struct batch_pace {
    int timer; /* ends the gathering */
    bool is_gathering;
    unsigned int expected; /* requests that were in hand when the last flush ended */
    int64_t started_us;
    int64_t flush_us; /* what a flush takes, on average */
};

#endif
