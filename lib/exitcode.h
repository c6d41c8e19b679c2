#ifndef EXITCODE_H
#define EXITCODE_H

#include <stdbool.h>

/* Exit codes that programs of the qmail world agree on. */
enum exitcode {
    EXITCODE_OK = 0,
    EXITCODE_STOP = 99, /* a .qmail program: done, ignore the lines that follow */
    EXITCODE_PERMANENT = 100,
    EXITCODE_TEMPORARY = 111,
};

/* Exit codes of qmail-queue and of programs named in QMAILQUEUE: 11..40 are permanent. */
enum queue_code {
    QUEUE_OK = 0,
    QUEUE_ADDRESS_TOO_LONG = 11,
    QUEUE_REFUSED = 31,
    QUEUE_NO_MEMORY = 51,
    QUEUE_TIMEOUT = 52,
    QUEUE_WRITE_ERROR = 53, /* disk full too */
    QUEUE_READ_ERROR = 54,
    QUEUE_CONFIG_ERROR = 55,
    QUEUE_NETWORK_ERROR = 56,
    QUEUE_NO_HOME = 61,
    QUEUE_NO_QUEUE = 62,     /* the queue directory, or qmail-queued, cannot be reached */
    QUEUE_MESS_TROUBLE = 64, /* a file in queue/mess cannot be made */
    QUEUE_REFUSED_NOW = 71,
    QUEUE_CONNECT_TIMEOUT = 72,
    QUEUE_CONNECT_REFUSED = 73,
    QUEUE_TALK_FAILED = 74,
    QUEUE_BUG = 81,
    QUEUE_CUSTOM = 82, /* the text on descriptor 6 decides */
    QUEUE_BAD_ENVELOPE = 91,
    QUEUE_EXEC_FAILED = 120,
};

/* What the end of a .qmail program, or of a delivery child, means. */
enum exitcode_outcome {
    OUTCOME_SUCCESS,
    OUTCOME_STOP,      /* 99: success, and no further lines */
    OUTCOME_PERMANENT, /* 100, 64, 65, 70, 76, 77, 78, 112 */
    OUTCOME_TEMPORARY, /* every other code, and death by a signal */
};

/* wait_status  as waitpid() gives it */
enum exitcode_outcome exitcode_of_program(int wait_status);

/* Is this qmail-queue exit code a permanent failure (11 to 40)? */
bool exitcode_queue_is_permanent(unsigned int code);

/* A sentence for a qmail-queue exit code, ending in an enhanced status code as
 * "(#4.3.0)", and that code alone as "4.3.0". Static strings; every number has one. */
const char *exitcode_queue_text(unsigned int code);
const char *exitcode_queue_status(unsigned int code);

#endif
