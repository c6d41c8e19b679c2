#ifndef LOCAL_SESSION_H
#define LOCAL_SESSION_H

#include <stdbool.h>

/* Serve one spawner: take jobs from the socket until it is closed, deliver them, send
 * a report for each. All jobs are for the user we run as.
 *
 * Packets in: "job", number, queue id, user, homedir, local, dash, ext, domain, sender,
 * defaultdelivery, with the message; and "again" if a process that was lost may have
 * delivered it, so that it is looked for in the Maildirs first. Packets out: "report",
 * number, K, Z or D and text.
 *
 * Jobs that only go to Maildirs are delivered in batches (maildir_batch.h), others by
 * children (local_child.h).
 *
 * socket   SEQPACKET; made non-blocking. Current directory: the home of the system
 * returns  true when the other side has closed and all is done; false with errno */
bool local_session_run(int socket);

#endif
