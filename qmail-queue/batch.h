#ifndef BATCH_H
#define BATCH_H

#include "server.h"

/* Requests that wait for the disk together: one flush covers all that was written before
 * it began, and those that come meanwhile gather for the next. */

/* returns  true, or false with errno */
bool batch_init(struct server *server);

/* Begin a flush of what is written, unless one is in hand. A lone request is flushed at
 * once. When there were several at the end of the last flush, their clients will soon
 * be back with the next ones: wait until as many are there again, but not for long, or
 * the first to come would be flushed alone each time. What a flush costs the machine
 * hardly depends on how many share it, so company is worth the time of a flush for each
 * that is expected: two do not wait long for each other, and of many, who keep the
 * machine busy, each waits 20 ms at most. (With large messages: a quarter of the time
 * of a flush, and 5 ms.)
 * returns  false when the helper is gone */
bool batch_start(struct server *server);

/* The time for gathering is over. */
void batch_timer(struct server *server);

/* The helper has something to say: answer everyone whom the flush covered.
 * returns  false when the helper is gone */
bool batch_collect(struct server *server);

#endif
