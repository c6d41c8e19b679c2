#ifndef LOCAL_JOB_H
#define LOCAL_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "message.h"

/* One delivery: one message to one local address. */

struct local_job {
    const char *user, *home, *local, *dash, *ext, *domain, *sender, *defaultdelivery;
    uint64_t id;     /* the queue's, microseconds since 1970; 0: run by hand, unknown */
    bool may_repeat; /* an earlier process may have done it: look before delivering */
    struct message message;
};

/* The lines that a delivery puts on top of a message; '\n' only at the end of each. */
struct local_lines {
    stralloc from_;        /* "From sender Fri Nov 20 10:39:14 2026\n", in UTC */
    stralloc return_path;  /* "Return-Path: <sender>\n", quoted (RFC 5321 4.1.2) */
    stralloc delivered_to; /* "Delivered-To: local@domain\n" */
};

/* Make all three; what *lines held is replaced. now: Unix time for From_.
 * returns  true, or false with errno (memory) */
bool local_lines_make(struct local_lines *lines, const struct local_job *job,
                      int64_t now);

void local_lines_free(struct local_lines *lines);

/* Has the message a header line exactly like delivered_to, so that the mail loops? */
bool local_job_loops(const struct local_job *job, const struct local_lines *lines);

#endif
