#ifndef LOCAL_REPORT_H
#define LOCAL_REPORT_H

#include <stdbool.h>

#include <skalibs/stralloc.h>

enum { LOCAL_REPORT_MAX = 3000 }; /* bytes of text; of more, beginning and end are kept */

/* Shorten text to LOCAL_REPORT_MAX bytes. */
void local_report_shorten(stralloc *text);

/* Send "report", number, and K, Z or D (for the exit codes 0, 111, 100) with text. Waits
 * until the socket takes it. text is shortened, and cleaned of NULs.
 * returns  true, also when the spawner is gone and nobody wants to know (receiving will
 *          tell); false with errno */
bool local_report_send(int socket, const char *number, unsigned int code, stralloc *text);

#endif
