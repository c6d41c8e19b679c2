#ifndef MAILDIR_CONTENTS_H
#define MAILDIR_CONTENTS_H

#include <stdbool.h>
#include <stddef.h>

#include <time.h>

#include <skalibs/stralloc.h>

/* The messages of a Maildir in the order in which they came. */

struct maildir_entry {
    stralloc path; /* "new/name" or "cur/name" */
    struct timespec time;
};

struct maildir_contents {
    int base; /* O_PATH, the Maildir */
    struct maildir_entry *entries;
    size_t count;
};

/* List new/ and cur/ of the Maildir path, oldest first; names that begin with a dot do
 * not count. returns true, or false with errno */
bool maildir_contents_read(struct maildir_contents *contents, const char *path);

#endif
