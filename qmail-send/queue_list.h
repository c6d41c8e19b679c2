#ifndef QUEUE_LIST_H
#define QUEUE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The ids of all messages in the queue, for programs that look at it from outside. */

struct queue_list {
    uint64_t *ids; /* oldest first; freed by the caller */
    size_t count;
};

/* Read queue/mess into *list, which must be all zero.
 * returns  true, or false with errno; EACCES: only root and the queue's owner may */
bool queue_list_read(struct queue_list *list);

/* The id that a file of this name in folder `split` of queue/mess has; 0 for
 * a foreign name: only a decimal number without leading zeros in the folder where
 * it belongs is an id. */
uint64_t queue_list_id(unsigned int split, const char *name);

#endif
