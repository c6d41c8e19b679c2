#ifndef REMOTE_SESSION_H
#define REMOTE_SESSION_H

#include <stdbool.h>

#include "remote.h"

/* Session mode: jobs come over a socket, by handoff, and reports go back. */

enum { REMOTE_SESSION_IDLE_MS = 5000 };

/* Work until the other side closes the socket; it decides how long an idle process stays.
 * A connection without a job ends after REMOTE_SESSION_IDLE_MS. Job:
 * "job", number, queue id, host, sender, recipient...; body or descriptor: the message.
 * Report: "report", number, one string per recipient.
 * returns  true, or false with errno when a job or report could not be read or sent */
bool remote_session_run(struct remote *remote, int socket);

#endif
