#ifndef ID_QUEUE_H
#define ID_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Queue ids in the order in which they came, 8 to 16 bytes each. */

/* All zero is an empty one. */
struct id_queue {
    uint64_t *ring;
    size_t room; /* a power of two, or 0 */
    size_t first;
    size_t count;
};

/* Put id at the end. returns true, or false for lack of memory */
bool id_queue_put(struct id_queue *queue, uint64_t id);

/* Take the first. The queue must not be empty; its memory is freed when it becomes so. */
uint64_t id_queue_take(struct id_queue *queue);

void id_queue_free(struct id_queue *queue);

#endif
