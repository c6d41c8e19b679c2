#include "schedule.h"

#include <stdlib.h>

enum {
    FIRST_ROOM = 64,
    MARK_BITS = 2, /* of a key, the lowest */
    MARK_MASK = (1 << MARK_BITS) - 1,
};

static bool
is_before(const struct schedule_entry *a, const struct schedule_entry *b)
{
    if (a->key >> MARK_BITS != b->key >> MARK_BITS)
        return a->key < b->key;
    return a->id < b->id;
}

static uint64_t
key_of(uint64_t due_s, enum schedule_mark mark)
{
    if (due_s > UINT64_MAX >> MARK_BITS)
        due_s = UINT64_MAX >> MARK_BITS;
    return due_s << MARK_BITS | mark;
}

static enum schedule_mark
mark_of(const struct schedule_entry *entry)
{
    return (enum schedule_mark)(entry->key & MARK_MASK);
}

/* Put entry where the hole at index is, or above. */
static void
rise(struct schedule *schedule, size_t index, struct schedule_entry entry)
{
    while (index) {
        size_t parent = (index - 1) / 2;
        if (!is_before(&entry, &schedule->heap[parent]))
            break;
        schedule->heap[index] = schedule->heap[parent];
        index = parent;
    }
    schedule->heap[index] = entry;
}

/* Put entry where the hole at index is, or below. */
static void
sink(struct schedule *schedule, size_t index, struct schedule_entry entry)
{
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= schedule->count)
            break;
        if (child + 1 < schedule->count &&
            is_before(&schedule->heap[child + 1], &schedule->heap[child]))
            child++;
        if (!is_before(&schedule->heap[child], &entry))
            break;
        schedule->heap[index] = schedule->heap[child];
        index = child;
    }
    schedule->heap[index] = entry;
}

bool
schedule_add(struct schedule *schedule, uint64_t id, uint64_t due_s,
             enum schedule_mark mark)
{
    if (schedule->count == schedule->room) {
        /* a third more, not twice: with a million messages the rest would be much */
        size_t room = schedule->room + schedule->room / 3 + FIRST_ROOM;
        struct schedule_entry *heap =
            reallocarray(schedule->heap, room, sizeof *schedule->heap);
        if (!heap)
            return false;
        schedule->heap = heap;
        schedule->room = room;
    }
    rise(schedule, schedule->count++,
         (struct schedule_entry){.id = id, .key = key_of(due_s, mark)});
    return true;
}

bool
schedule_first(const struct schedule *schedule, uint64_t *id, uint64_t *due_s,
               enum schedule_mark *mark)
{
    if (!schedule->count)
        return false;
    *id = schedule->heap[0].id;
    *due_s = schedule->heap[0].key >> MARK_BITS;
    *mark = mark_of(&schedule->heap[0]);
    return true;
}

void
schedule_remove_first(struct schedule *schedule)
{
    schedule->count--;
    if (schedule->count)
        sink(schedule, 0, schedule->heap[schedule->count]);
    else
        schedule_free(schedule);
}

void
schedule_all_due(struct schedule *schedule, uint64_t due_s)
{
    for (size_t i = 0; i < schedule->count; i++) {
        bool is_seen = mark_of(&schedule->heap[i]) == SCHEDULE_SEEN;
        schedule->heap[i].key =
            key_of(due_s, is_seen ? SCHEDULE_SEEN : SCHEDULE_UNSEEN_DUE);
    }
    for (size_t i = schedule->count / 2; i-- > 0;)
        sink(schedule, i, schedule->heap[i]);
}

void
schedule_free(struct schedule *schedule)
{
    free(schedule->heap);
    *schedule = (struct schedule){0};
}

/* The largest root with root * root <= number. */
static uint64_t
square_root(uint64_t number)
{
    uint64_t low = 0, high = UINT32_MAX;
    while (low < high) {
        uint64_t middle = low + (high - low + 1) / 2;
        if (middle * middle <= number)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

uint64_t
schedule_retry_time(uint64_t birth_s, uint64_t now_s, uint64_t skip)
{
    if (birth_s > now_s)
        birth_s = now_s;
    uint64_t root = square_root(now_s - birth_s) + skip;
    return birth_s + root * root;
}
