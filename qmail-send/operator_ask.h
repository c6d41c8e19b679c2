#ifndef OPERATOR_ASK_H
#define OPERATOR_ASK_H

#include <stdbool.h>

#include <skalibs/stralloc.h>

/* The other side of queue/control, for the operator's programs.
 * Current directory: the home. */

enum operator_status {
    OPERATOR_OK,
    OPERATOR_DOWN,      /* qmail-send does not run: ECONNREFUSED */
    OPERATOR_REFUSED,   /* qmail-send does not know the command: EPROTO */
    OPERATOR_FORBIDDEN, /* only root and the queue's owner may ask: EACCES */
    OPERATOR_ERROR,     /* ETIMEDOUT, ENOMEM, EIO ... */
};

/* Send a command and wait for the answer, at most for OPERATOR_DEADLINE_S seconds.
 * text     replaced by the lines of the answer; null if they are not wanted
 * returns  OPERATOR_OK, or another with errno */
enum { OPERATOR_DEADLINE_S = 60 };
enum operator_status operator_ask(const char *verb, stralloc *text);

#endif
