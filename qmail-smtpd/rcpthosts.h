#ifndef RCPTHOSTS_H
#define RCPTHOSTS_H

#include <stdbool.h>

#include "cdb_table.h"
#include "name_map.h"

/* The domains we take mail for: control/rcpthosts, then control/morercpthosts.cdb. */

struct rcpthosts {
    bool is_read;
    bool is_missing; /* there is no control/rcpthosts */
    struct name_map hosts;
    bool is_more_open; /* control/morercpthosts.cdb was looked for */
    struct cdb_table more;
};

enum rcpthosts_status {
    RCPTHOSTS_ERROR, /* unreadable; errno tells */
    RCPTHOSTS_ABSENT,
    RCPTHOSTS_FOUND,
};

void rcpthosts_init(struct rcpthosts *rcpthosts);
void rcpthosts_free(struct rcpthosts *rcpthosts);

/* Look for a domain: as it is without regard to case, then each of its suffixes that
 * begins with a dot. The first call reads control/rcpthosts; the cdb is opened when that
 * does not help. Without control/rcpthosts nothing is found there: qmail would have
 * relayed everything. */
enum rcpthosts_status rcpthosts_find(struct rcpthosts *rcpthosts, const char *domain);

#endif
