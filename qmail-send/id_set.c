#include "id_set.h"

#include <stdlib.h>

enum { FIRST_SIZE = 64 };

/* Ids are times and nobody outside can choose one, so mixing is enough. */
static size_t
home_of(const struct id_set *set, uint64_t id)
{
    uint64_t mixed = id * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(mixed ^ mixed >> 32) & (set->size - 1);
}

/* The slot that holds id, or the free one where it belongs. */
static size_t
slot_of(const struct id_set *set, uint64_t id)
{
    size_t slot = home_of(set, id);
    while (set->slots[slot] && set->slots[slot] != id)
        slot = (slot + 1) & (set->size - 1);
    return slot;
}

bool
id_set_has(const struct id_set *set, uint64_t id)
{
    return set->size && id && set->slots[slot_of(set, id)] == id;
}

static bool
resize(struct id_set *set, size_t size)
{
    struct id_set bigger = {.size = size, .count = set->count};
    bigger.slots = calloc(size, sizeof *bigger.slots);
    if (!bigger.slots)
        return false;
    for (size_t i = 0; i < set->size; i++)
        if (set->slots[i])
            bigger.slots[slot_of(&bigger, set->slots[i])] = set->slots[i];
    free(set->slots);
    *set = bigger;
    return true;
}

bool
id_set_add(struct id_set *set, uint64_t id)
{
    if (!id || id_set_has(set, id))
        return true;
    if (set->count + 1 > set->size / 4 * 3 &&
        !resize(set, set->size ? set->size * 2 : FIRST_SIZE))
        return false;
    set->slots[slot_of(set, id)] = id;
    set->count++;
    return true;
}

void
id_set_remove(struct id_set *set, uint64_t id)
{
    if (!id_set_has(set, id))
        return;
    size_t hole = slot_of(set, id);
    set->count--;
    /* move back those that stand behind the hole only because it was taken */
    for (size_t at = hole;;) {
        set->slots[hole] = 0;
        size_t home;
        do {
            at = (at + 1) & (set->size - 1);
            if (!set->slots[at])
                return;
            home = home_of(set, set->slots[at]);
        } while (((at - home) & (set->size - 1)) < ((at - hole) & (set->size - 1)));
        set->slots[hole] = set->slots[at];
        hole = at;
    }
}

void
id_set_free(struct id_set *set)
{
    free(set->slots);
    *set = (struct id_set){0};
}
