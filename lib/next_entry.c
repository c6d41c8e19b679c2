#include "next_entry.h"

#include <errno.h>

const struct dirent *
next_entry(DIR *directory)
{
    errno = 0;
    return readdir(directory);
}
