#include "local_route.h"

#include <string.h>

#include "dot_line.h"
#include "text.h"

static const char *
part_of_key(const struct local_job *job, unsigned int index)
{
    const char *const parts[] = {job->home, job->dash, job->ext, job->defaultdelivery};
    return parts[index];
}

enum { KEY_PARTS = 4 };

static struct local_route *
place_of(struct local_routes *routes, const struct local_job *job)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (unsigned int i = 0; i < KEY_PARTS; i++) {
        const char *at = part_of_key(job, i);
        do {
            hash ^= (unsigned char)*at;
            hash *= 16777619u;
        } while (*at++);
    }
    return &routes->entries[hash % LOCAL_ROUTES];
}

static bool
has_key(const struct local_route *route, const struct local_job *job)
{
    const char *at = route->key.s;
    for (unsigned int i = 0; i < KEY_PARTS; i++) {
        if (strcmp(at, part_of_key(job, i)) != 0)
            return false;
        at += strlen(at) + 1;
    }
    return true;
}

struct local_route *
local_route_find(struct local_routes *routes, const struct local_job *job, uint64_t round)
{
    struct local_route *route = place_of(routes, job);
    return route->round == round && has_key(route, job) ? route : NULL;
}

static bool
copy_key(struct local_route *route, const struct local_job *job)
{
    route->key.len = 0;
    for (unsigned int i = 0; i < KEY_PARTS; i++) {
        const char *part = part_of_key(job, i);
        if (!text_append_bytes(&route->key, part, strlen(part) + 1))
            return false;
    }
    return true;
}

struct local_route *
local_route_make(struct local_routes *routes, const struct local_job *job,
                 const struct dot_qmail *file)
{
    struct local_route *route = place_of(routes, job);
    struct dot_lines lines;
    struct dot_line line;

    route->round = 0;
    route->count = 0;
    memset(route->slots, 0, sizeof route->slots);
    if (!copy_key(route, job) ||
        !text_copy_bytes(&route->text, file->text.s, file->text.len))
        return NULL;
    dot_lines_start(&lines, route->text.s, route->text.len, file->forward_only);
    while (dot_lines_next(&lines, &line)) {
        if (line.kind == DOT_LINE_NOTHING)
            continue;
        if (line.kind != DOT_LINE_MAILDIR || route->count == LOCAL_ROUTE_MAILDIRS)
            return NULL;
        route->paths[route->count++] = line.text;
    }
    return route;
}

void
local_routes_free(struct local_routes *routes)
{
    for (unsigned int i = 0; i < LOCAL_ROUTES; i++) {
        stralloc_free(&routes->entries[i].key);
        stralloc_free(&routes->entries[i].text);
    }
}
