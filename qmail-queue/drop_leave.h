#ifndef DROP_LEAVE_H
#define DROP_LEAVE_H

#include <stdint.h>

#include "spool.h"

/* Leave a message in queue/drop, because qmail-queued cannot be reached. It takes it in
 * later; the file's owner is who sent it.
 * spool        finished: message, then envelope with its final NUL
 * message_len  bytes of the message
 * returns      QUEUE_OK: it is on the disk, with its name; QUEUE_NO_QUEUE: queue/drop
 *              cannot be used; QUEUE_WRITE_ERROR; errno is set */
unsigned int drop_leave(const struct spool *spool, uint64_t message_len);

#endif
