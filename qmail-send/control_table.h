#ifndef CONTROL_TABLE_H
#define CONTROL_TABLE_H

#include <stddef.h>

/* Every control file that Pennypost reads. qmail-control(5) describes the same ones;
 * a test compares both with the source. */

enum control_kind { CONTROL_KIND_LINE, CONTROL_KIND_LIST, CONTROL_KIND_TABLE };

struct control_file {
    const char *name; /* below control/ */
    enum control_kind kind;
    const char
        *otherwise; /* what holds without the file; "me": the content of control/me */
    const char *meaning;
};

/* The files in alphabetical order; *count is set. */
const struct control_file *control_table(size_t *count);

/* The entry of name; null when no program reads such a file. */
const struct control_file *control_table_find(const char *name);

#endif
