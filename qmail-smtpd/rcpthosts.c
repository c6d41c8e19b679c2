#include "rcpthosts.h"

#include <string.h>

#include "control.h"
#include "text.h"

void
rcpthosts_init(struct rcpthosts *rcpthosts)
{
    memset(rcpthosts, 0, sizeof *rcpthosts);
    rcpthosts->more.fd = -1;
}

void
rcpthosts_free(struct rcpthosts *rcpthosts)
{
    name_map_free(&rcpthosts->hosts);
    cdb_table_close(&rcpthosts->more);
}

static bool
read_hosts(struct rcpthosts *rcpthosts)
{
    stralloc list = STRALLOC_ZERO;
    enum control_status status = control_read_list(&list, "control/rcpthosts");
    rcpthosts->is_missing = status == CONTROL_ABSENT;
    rcpthosts->is_read =
        status == CONTROL_ABSENT ||
        (status == CONTROL_FOUND && name_map_build(&rcpthosts->hosts, &list, '\0'));
    stralloc_free(&list);
    return rcpthosts->is_read;
}

static enum cdb_table_status
find_in_table(struct cdb_table *table, const char *domain)
{
    stralloc key = STRALLOC_ZERO;
    stralloc ignored = STRALLOC_ZERO;
    enum cdb_table_status status = CDB_TABLE_ERROR;

    if (text_copy(&key, domain)) {
        text_lower(key.s, key.len);
        const char *part = key.s;
        do
            status = cdb_table_find(table, part, strlen(part), &ignored);
        while (status == CDB_TABLE_ABSENT && *part && (part = strchr(part + 1, '.')));
    }
    stralloc_free(&key);
    stralloc_free(&ignored);
    return status;
}

enum rcpthosts_status
rcpthosts_find(struct rcpthosts *rcpthosts, const char *domain)
{
    if (!rcpthosts->is_read && !read_hosts(rcpthosts))
        return RCPTHOSTS_ERROR;
    if (name_map_find_host(&rcpthosts->hosts, domain, false))
        return RCPTHOSTS_FOUND;
    if (!rcpthosts->is_more_open) {
        if (cdb_table_open(&rcpthosts->more, "control/morercpthosts.cdb") ==
            CDB_TABLE_ERROR)
            return RCPTHOSTS_ERROR;
        rcpthosts->is_more_open = true;
    }
    if (rcpthosts->more.fd < 0)
        return RCPTHOSTS_ABSENT;
    switch (find_in_table(&rcpthosts->more, domain)) {
    case CDB_TABLE_FOUND:
        return RCPTHOSTS_FOUND;
    case CDB_TABLE_ABSENT:
        return RCPTHOSTS_ABSENT;
    case CDB_TABLE_ERROR:
        break;
    }
    return RCPTHOSTS_ERROR;
}
