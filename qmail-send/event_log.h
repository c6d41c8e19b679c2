#ifndef EVENT_LOG_H
#define EVENT_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

/* The log lines of qmail-send: gathered, and written once per turn of the main loop. */

enum { EVENT_LOG_MAX = 64 * 1024 }; /* more is written at once */

/* All zero is an empty one. */
struct event_log {
    stralloc pending;
};

/* Add pieces to the line in the making. Lack of memory loses the piece, nothing else. */
void event_log_text(struct event_log *log, const char *text);
void event_log_number(struct event_log *log, uint64_t number);

/* The same for foreign text: newlines become '/', and every blank, '%', control byte and
 * byte above 126 becomes '_', as log analysers have always seen them. */
void event_log_safe(struct event_log *log, const char *text);

/* End the line. */
void event_log_end(struct event_log *log);

/* A whole line: text, and what errno means if error is not 0. */
void event_log_line(struct event_log *log, const char *text, int error);

/* Write all finished lines to descriptor 1; waits for a slow logger.
 * returns  true, or false with errno: the log is gone */
bool event_log_flush(struct event_log *log);

#endif
