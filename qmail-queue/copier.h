#ifndef COPIER_H
#define COPIER_H

#include "server.h"

/* Large messages are copied by processes of their own, one each and some at a time: reading
 * may wait for a disk, and writing much is slowed down by the kernel; others must not wait. */

/* Start copiers for those that wait, as far as there may be more. */
void copier_start_next(struct server *server);

/* The process pid has ended. If it was a copier its request goes on, or is refused.
 * returns  false: it was not a copier */
bool copier_ended(struct server *server, pid_t pid, int wait_status);

/* Stop them all and refuse their requests, and those that wait. */
void copier_stop_all(struct server *server);

#endif
