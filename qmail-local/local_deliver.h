#ifndef LOCAL_DELIVER_H
#define LOCAL_DELIVER_H

#include <stdbool.h>

#include "dot_qmail.h"
#include "local_job.h"
#include "local_result.h"

/* What a job asks for, found out before anything is delivered. Begin with all zero and
 * home = -1. */
struct local_plan {
    int home;              /* O_PATH */
    struct dot_qmail file; /* file.text: the instructions, defaultdelivery too */
    struct local_lines lines;
};

/* Open the home, look for a mail loop, find the instructions. Whatever stops the
 * delivery is in *result.
 * rehearse  only tell what would happen: no look for loops, a sticky home is warned about
 * returns   true: deliver; false: *result says why not */
bool local_plan_make(struct local_plan *plan, const struct local_job *job, bool rehearse,
                     struct local_result *result);

/* The part of it that looks at the message: make plan->lines, look for a mail loop. */
bool local_plan_check_message(struct local_plan *plan, const struct local_job *job,
                              struct local_result *result);

/* Close and free; *plan may be used again. */
void local_plan_free(struct local_plan *plan);

/* Carry out the instructions one after the other; output of programs goes to
 * descriptor 1. The environment of this process is changed. plan->file.text is used up.
 * home_is_current  the current directory is the home of the system; else it is made so
 *                  before something is forwarded */
void local_deliver(struct local_job *job, struct local_plan *plan, bool home_is_current,
                   struct local_result *result);

/* Write what to do into *result: "maildir ./Maildir/\n", "forward joe@example.org\n" */
void local_rehearse(struct local_plan *plan, struct local_result *result);

#endif
