#ifndef LOCAL_RESULT_H
#define LOCAL_RESULT_H

#include <stdbool.h>

#include <skalibs/stralloc.h>

/* How a local delivery ended: the exit code of qmail-local and its report text. */

struct local_result {
    unsigned int code; /* EXITCODE_OK, EXITCODE_PERMANENT, EXITCODE_TEMPORARY */
    stralloc text;     /* lines, each ended by '\n'; owned */
};

/* Begin anew: success, no text. The memory is kept. */
void local_result_reset(struct local_result *result);

/* Note a failure: code 100 or 111 and a sentence that ends in its enhanced status code,
 * "there is no mailbox of this name here (#5.1.1)". returns false, always */
bool local_result_refuse(struct local_result *result, const char *sentence);
bool local_result_defer(struct local_result *result, const char *sentence);

/* The same with the reason from errno: "unable to ACTION OBJECT: REASON (#4.3.0)", 111.
 * object  shown without control bytes; may be null */
bool local_result_defer_errno(struct local_result *result, const char *action,
                              const char *object, const char *status);

/* Append "did F+W+P\n": files, forwards, programs. */
void local_result_count(struct local_result *result, const unsigned int counts[3]);

void local_result_free(struct local_result *result);

#endif
