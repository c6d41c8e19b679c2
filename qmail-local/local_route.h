#ifndef LOCAL_ROUTE_H
#define LOCAL_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "dot_qmail.h"
#include "local_job.h"
#include "maildir_cache.h"

/* Where the jobs of a session go that need nothing but Maildirs. A route is good for one
 * round (between two flushes): then the .qmail file is read again. */

enum {
    LOCAL_ROUTE_MAILDIRS = 8, /* lines; a file with more is a child's work */
    LOCAL_ROUTES = 64,
};

struct local_route {
    stralloc key; /* home, dash, ext, defaultdelivery, each ended by '\0' */
    uint64_t round;
    stralloc text; /* of the .qmail file, cut into lines */
    const char *paths[LOCAL_ROUTE_MAILDIRS];
    struct maildir_slot *slots[LOCAL_ROUTE_MAILDIRS]; /* null: not yet open */
    unsigned int count;
};

/* Begin with all zero. */
struct local_routes {
    struct local_route entries[LOCAL_ROUTES];
};

/* The route of this job found in this round, or null. */
struct local_route *local_route_find(struct local_routes *routes,
                                     const struct local_job *job, uint64_t round);

/* Make the route of this job from its .qmail file, whose text may be used up.
 * returns  it, without slots; set its round when it has all of them. Null: the file has
 *          other lines than Maildirs, too many of them, or there is no memory;
 *          text is as it was */
struct local_route *local_route_make(struct local_routes *routes,
                                     const struct local_job *job,
                                     const struct dot_qmail *file);

void local_routes_free(struct local_routes *routes);

#endif
