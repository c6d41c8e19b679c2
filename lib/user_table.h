#ifndef USER_TABLE_H
#define USER_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include <sys/types.h>

#include <skalibs/stralloc.h>

#include "cdb_table.h"

/* users/cdb, whose form is described in qmail-users(5). */

struct user {
    uid_t uid;
    gid_t gid;
    const char *name; /* these four point into text */
    const char *homedir;
    const char *dash; /* the .qmail file is homedir/.qmail<dash><ext> */
    const char *ext;
    stralloc text; /* private; start with all zero, reused, freed by user_free */
};

enum user_status {
    USER_ERROR, /* temporary; errno tells; EPROTO: damaged data */
    USER_WAIT,  /* not known (here, or not yet) */
    USER_FOUND,
};

/* Take six strings (user, uid, gid, homedir, dash, ext), each with NUL, as user's text.
 * returns  USER_FOUND; USER_ERROR: EPROTO, they are not a user; ENOMEM */
enum user_status user_parse(struct user *user, const char *strings, size_t len);

void user_free(struct user *user);

/* Look local up: as an exact entry, then by its longest prefix that is a wildcard. Case
 * does not matter. An open table; a closed one knows nobody.
 * user     replaced when USER_FOUND
 * returns  USER_FOUND; USER_WAIT: nothing there; USER_ERROR */
enum user_status user_table_find(struct cdb_table *table, const char *local,
                                 struct user *user);

#endif
