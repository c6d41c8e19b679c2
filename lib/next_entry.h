#ifndef NEXT_ENTRY_H
#define NEXT_ENTRY_H

#include <dirent.h>

/* The next entry of a directory, "." and ".." too.
 * returns  null with errno: 0 when there is none left, else why the rest is unknown */
const struct dirent *next_entry(DIR *directory);

#endif
