#include "header_read.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

bool
header_read(stralloc *header, size_t max)
{
    char chunk[8192];
    ssize_t got;

    if (!text_copy(header, ""))
        return false;
    while (header->len < max && (got = read(0, chunk, sizeof chunk)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 || !text_append_bytes(header, chunk, (size_t)got))
            return false;
        if (memmem(header->s, header->len, "\n\n", 2))
            break;
    }
    return true;
}
