#ifndef DROP_TAKE_H
#define DROP_TAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "handoff.h"
#include "queue_file.h"

struct server_options;

/* The keeper's work on queue/drop: each message left there gets into the queue, once. */

struct drop_take {
    const struct server_options *options;
    uint64_t mount; /* of the queue */
    int socket; /* to qmail-queued: "id" is answered by "0" and an id; "queued" and an id
                       has none */
    int taking; /* queue/taking, locked: one at a time works there */
    struct handoff packet;
    struct queue_file file; /* memory to reuse */
};

/* Open queue/taking and wait until whoever worked there has ended.
 * take  socket, options and mount are set, the rest is zero
 * returns  true, or false with errno */
bool drop_take_begin(struct drop_take *take);

/* First what an earlier round has left in queue/taking, then all of queue/drop.
 * Ends the process when qmail-queued is gone. What fails is logged, and tried again
 * in the next round. */
void drop_take_round(struct drop_take *take);

#endif
