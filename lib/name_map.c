#include "name_map.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int
compare_keys(const void *a, const void *b)
{
    const char *left = *(const char *const *)a;
    const char *right = *(const char *const *)b;
    int order = strcasecmp(left, right);
    if (order)
        return order;
    return left < right ? -1 : left > right; /* the earlier line first */
}

static size_t
count_items(const stralloc *list)
{
    size_t count = 0;
    for (size_t at = 0; at < list->len; at += strlen(list->s + at) + 1)
        count++;
    return count;
}

bool
name_map_build(struct name_map *map, const stralloc *list, char separator)
{
    memset(map, 0, sizeof *map);
    size_t count = count_items(list);
    if (!count)
        return true;
    map->keys = malloc(count * sizeof *map->keys);
    /* room for one more '\0' per item: a line without separator gets an empty value */
    if (!map->keys || !stralloc_ready(&map->text, list->len + count)) {
        name_map_free(map);
        return false;
    }
    for (size_t at = 0; at < list->len; at += strlen(list->s + at) + 1) {
        const char *item = list->s + at;
        size_t key_len =
            separator ? strcspn(item, (char[]){separator, '\0'}) : strlen(item);
        const char *value = item[key_len] ? item + key_len + 1 : "";
        map->keys[map->count++] = map->text.s + map->text.len;
        /* cannot fail: the room is there */
        if (!stralloc_catb(&map->text, item, key_len) || !stralloc_0(&map->text) ||
            !stralloc_cats(&map->text, value) || !stralloc_0(&map->text)) {
            name_map_free(map);
            return false;
        }
    }
    qsort(map->keys, map->count, sizeof *map->keys, compare_keys);
    return true;
}

void
name_map_free(struct name_map *map)
{
    free(map->keys);
    stralloc_free(&map->text);
    memset(map, 0, sizeof *map);
}

/* Order of the len bytes at key and a stored key, as strcasecmp orders strings. */
static int
compare_to_key(const char *key, size_t len, const char *stored)
{
    int order = strncasecmp(key, stored, len);
    if (order)
        return order;
    return stored[len] ? -1 : 0;
}

const char *
name_map_find(const struct name_map *map, const char *key, size_t len)
{
    size_t low = 0, high = map->count;
    if (memchr(key, '\0', len))
        return NULL;
    while (low < high) { /* the first key that is not smaller */
        size_t middle = low + (high - low) / 2;
        if (compare_to_key(key, len, map->keys[middle]) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == map->count || compare_to_key(key, len, map->keys[low]) != 0)
        return NULL;
    return map->keys[low] + len + 1;
}

const char *
name_map_find_host(const struct name_map *map, const char *host, bool with_empty)
{
    const char *value = name_map_find(map, host, strlen(host));
    for (const char *dot = host; !value && (dot = strchr(dot, '.')); dot++)
        value = name_map_find(map, dot, strlen(dot));
    if (!value && with_empty)
        value = name_map_find(map, "", 0);
    return value;
}
