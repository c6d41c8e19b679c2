#ifndef ASSIGN_LINE_H
#define ASSIGN_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include <skalibs/stralloc.h>

/* One line of users/assign as a record of users/cdb; both forms are in qmail-users(5). */

enum { ASSIGN_LINE_MAX = 16 * 1024 };

enum assign_status {
    ASSIGN_ERROR,  /* no memory */
    ASSIGN_SYNTAX, /* *reason says what is wrong */
    ASSIGN_RECORD,
};

/* Make the record of line, which is len bytes long without its newline.
 * key, data  replaced
 * wild       set to the last byte of a wildcard's prefix, in lower case;
 *            '\0': exact, or no prefix */
enum assign_status assign_line_parse(const char *line, size_t len, stralloc *key,
                                     stralloc *data, char *wild, const char **reason);

#endif
