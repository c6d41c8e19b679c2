#ifndef DROP_TAKE_H
#define DROP_TAKE_H

#include <stdbool.h>

#include "keeper_work.h"

/* The keeper's round: what a crash has left in queue/taking, then queue/drop. A file goes from
 * queue/drop to queue/taking/<id>, so that nobody takes it in under two ids; qmail-queued removes
 * it when the message is safe, before qmail-send hears of the message.
 * is_start  only remove what is in queue/mess already; to be done before qmail-send scans again
 * work->has_found  set when there was such a message */
void drop_take_all(struct keeper_work *work, bool is_start);

#endif
