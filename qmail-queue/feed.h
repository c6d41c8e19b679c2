#ifndef FEED_H
#define FEED_H

#include <stdbool.h>
#include <stddef.h>

/* Run a program; on its standard input it gets some bytes, then what comes on ours. */

/* Run arguments[0], a path if it has a slash, else looked for in PATH. Wait for its end.
 * status   set to the wait status; a program that cannot be run counts as exit 111
 * returns  true; false with errno: our input cannot be read (the program has been killed,
 *          so that it does not take a part for the whole), no pipe, no process */
bool feed_program(char *const *arguments, const char *prefix, size_t prefix_len,
                  int *status);

/* The exit code for us: the program's own, or 111 if a signal ended it. */
int feed_exit_code(int status);

#endif
