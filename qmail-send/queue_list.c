#include "queue_list.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <skalibs/types.h>

#include "next_entry.h"
#include "queue_file.h"

enum { FIRST_ROOM = 256 };

uint64_t
queue_list_id(unsigned int split, const char *name)
{
    char expected[QUEUE_FILE_PATH_MAX], path[QUEUE_FILE_PATH_MAX];
    uint64_t id;

    if (strlen(name) > 20 || *name < '1' || *name > '9' || !uint640_scan(name, &id))
        return 0;
    queue_file_path(expected, id);
    snprintf(path, sizeof path, "queue/mess/%u/%s", split, name);
    return strcmp(path, expected) == 0 ? id : 0;
}

static bool
add(struct queue_list *list, size_t *room, uint64_t id)
{
    if (list->count == *room) {
        size_t bigger = *room ? *room * 2 : FIRST_ROOM;
        uint64_t *ids = reallocarray(list->ids, bigger, sizeof *ids);
        if (!ids)
            return false;
        list->ids = ids;
        *room = bigger;
    }
    list->ids[list->count++] = id;
    return true;
}

static bool
read_folder(struct queue_list *list, size_t *room, unsigned int split)
{
    char path[QUEUE_FILE_PATH_MAX];
    const struct dirent *entry;
    bool ok = true;

    snprintf(path, sizeof path, "queue/mess/%u", split);
    DIR *directory = opendir(path);
    if (!directory)
        return false;
    while (ok && (entry = next_entry(directory))) {
        uint64_t id = queue_list_id(split, entry->d_name);
        ok = !id || add(list, room, id);
    }
    ok = ok && errno == 0;
    closedir(directory);
    return ok;
}

static int
compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

bool
queue_list_read(struct queue_list *list)
{
    size_t room = 0;
    for (unsigned int split = 0; split < QUEUE_FILE_SPLIT; split++)
        if (!read_folder(list, &room, split))
            return false;
    if (list->count)
        qsort(list->ids, list->count, sizeof *list->ids, compare);
    return true;
}
