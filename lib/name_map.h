#ifndef NAME_MAP_H
#define NAME_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include <skalibs/stralloc.h>

/* A set of names, or a map from names to values, read from a control list. Keys compare
 * without regard to ASCII case. Lookup costs O(log n); the first of equal keys wins. */

struct name_map {
    stralloc text;     /* "key\0value\0" or "key\0", owned */
    const char **keys; /* sorted pointers into text */
    size_t count;
};

/* Build *map from list as control_read_list() makes it; *list stays the caller's.
 * separator  the byte between key and value (the first one counts), or '\0' for a set
 * returns    true, or false with errno (memory): *map is empty. Free: name_map_free. */
bool name_map_build(struct name_map *map, const stralloc *list, char separator);

/* Give the memory back; *map is empty afterwards. An all-zero map is an empty one. */
void name_map_free(struct name_map *map);

/* Look up exactly these len bytes.
 * returns  the value (for a set, or a line without separator: ""), or null when absent */
const char *name_map_find(const struct name_map *map, const char *key, size_t len);

/* Look up a host: the whole name, then each suffix that begins with a dot, then, if
 * with_empty, the empty key. returns as name_map_find */
const char *name_map_find_host(const struct name_map *map, const char *host,
                               bool with_empty);

#endif
