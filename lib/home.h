#ifndef HOME_H
#define HOME_H

#include <stdbool.h>

/* The directory that holds bin, control, users, alias and queue: the environment variable
 * QMAILHOME if set and not empty, else the first line of conf-home at build time.
 * returns  a string that lives as long as the environment; never null */
const char *home_path(void);

/* Make the home the current directory: every other path of a program is relative to it.
 * returns  true, or false with errno */
bool home_enter(void);

#endif
