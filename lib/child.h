#ifndef CHILD_H
#define CHILD_H

#include <stdbool.h>

#include <sys/types.h>

#include "account.h"

/* Starting a program that serves us: a delivery process, qmail-getpw. */

/* How a child that could not become the program ends; the codes of qmail-lspawn. */
enum child_code {
    CHILD_ROOT = 113,      /* it would have run as uid 0 */
    CHILD_SYSTEM = 118,    /* a descriptor or the identity could not be set */
    CHILD_EXEC_SOFT = 120, /* the program cannot be started now */
    CHILD_EXEC_HARD = 126, /* the program is not there, or is no program */
};

struct child_plan {
    const char *const
        *arguments; /* the program first; without '/' it is looked for in PATH */
    const struct account *identity; /* whom to become (see account_become); null: stay */
    int input;                      /* becomes descriptor 0 */
    int output; /* becomes descriptors 1 and 2; -1: both become our descriptor 2 */
    bool whole_environment; /* else PATH, QMAILHOME, QMAILQUEUE, TZ and nothing more */
};

/* Start the program in a process group of its own. Current directory: the home,
 * which is also what QMAILHOME says. No other descriptor of ours reaches it if
 * all are close-on-exec.
 * returns  its process id, or -1 with errno */
pid_t child_start(const struct child_plan *plan);

#endif
