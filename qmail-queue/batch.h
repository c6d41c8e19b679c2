#ifndef BATCH_H
#define BATCH_H

#include "server.h"

/* Requests that wait for the disk together: one flush covers all that was written before it
 * began, and those that come meanwhile gather for the next. */

/* Begin a flush of what is written, unless one is in hand.
 * returns  false when the helper is gone */
bool batch_start(struct server *server);

/* The helper has something to say: answer everyone whom the flush covered.
 * returns  false when the helper is gone */
bool batch_collect(struct server *server);

#endif
