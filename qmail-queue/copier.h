#ifndef COPIER_H
#define COPIER_H

#include "server.h"

/* Large messages are copied by processes of their own, one each and some at a time:
 * reading may wait for a disk, and writing much is slowed down by the kernel;
 * others must not wait. */

/* Start copiers for those that wait, as far as there may be more. */
void copier_start_next(struct server *server);

/* The process pid has ended. If it was a copier its request goes on, or is refused.
 * returns  false: it was not a copier */
bool copier_ended(struct server *server, pid_t pid, int wait_status);

/* Stop them all and refuse their requests, and those that wait. */
void copier_stop_all(struct server *server);

/* What such a process does: copy the first len bytes of source through entry, piece by
 * piece, and flush now and then.
 * buffer   SERVER_BUFFER bytes
 * returns  enum queue_code, errno is set */
unsigned int copier_copy(struct entry *entry, int source, char *buffer, uint64_t len);

/* Is there room for len bytes on the disk where file lies? For a stranger's half
 * of the room: a file may be longer than all disks and cost its owner nothing,
 * so do not even begin. */
bool copier_has_room(int file, uint64_t len, bool is_trusted);

#endif
