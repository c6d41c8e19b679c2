#include "id_queue.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 4 };

static bool
grow(struct id_queue *queue)
{
    size_t room = queue->room ? queue->room * 2 : FIRST_ROOM;
    uint64_t *ring = reallocarray(queue->ring, room, sizeof *ring);
    if (!ring)
        return false;
    /* what had wrapped to the start now follows the old end */
    size_t wrapped = queue->first ? queue->first + queue->count - queue->room : 0;
    if (wrapped)
        memcpy(ring + queue->room, ring, wrapped * sizeof *ring);
    queue->ring = ring;
    queue->room = room;
    return true;
}

bool
id_queue_put(struct id_queue *queue, uint64_t id)
{
    if (queue->count == queue->room && !grow(queue))
        return false;
    queue->ring[(queue->first + queue->count++) & (queue->room - 1)] = id;
    return true;
}

uint64_t
id_queue_take(struct id_queue *queue)
{
    uint64_t id = queue->ring[queue->first];
    queue->first = (queue->first + 1) & (queue->room - 1);
    if (--queue->count == 0)
        id_queue_free(queue);
    return id;
}

void
id_queue_free(struct id_queue *queue)
{
    free(queue->ring);
    *queue = (struct id_queue){0};
}
