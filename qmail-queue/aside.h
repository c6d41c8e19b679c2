#ifndef ASIDE_H
#define ASIDE_H

#include <stdbool.h>

/* Move path, which is no complete message, to queue/bad/<prefix><name> and log it.
 * prefix   "" or "drop-"
 * name     cut off behind 240 bytes; ".2" and so on follow where that one is taken
 * returns  true when it is no longer there; false, and that has been logged */
bool aside_move(const char *path, const char *prefix, const char *name);

#endif
