#ifndef HEADER_READ_H
#define HEADER_READ_H

#include <stdbool.h>
#include <stddef.h>

#include <skalibs/stralloc.h>

/* Read the header of the message on descriptor 0 into *header, which is replaced: up to
 * the empty line, some of the body perhaps, and not much more than max bytes.
 * returns  true, or false with errno */
bool header_read(stralloc *header, size_t max);

#endif
