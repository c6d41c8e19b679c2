#ifndef ID_SET_H
#define ID_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The queue ids qmail-send knows: a hash table of 11 to 22 bytes per id. Id 0 is none. */

/* All zero is an empty one. */
struct id_set {
    uint64_t *slots;
    size_t size; /* a power of two, or 0 */
    size_t count;
};

bool id_set_has(const struct id_set *set, uint64_t id);

/* Add id, which may be there already. returns true, or false for lack of memory */
bool id_set_add(struct id_set *set, uint64_t id);

void id_set_remove(struct id_set *set, uint64_t id);

void id_set_free(struct id_set *set);

#endif
