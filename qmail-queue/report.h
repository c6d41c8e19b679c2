#ifndef REPORT_H
#define REPORT_H

/* Log lines of qmail-queued and its helper processes, on stderr, each one write. */

/* "qmail-queued: error: WHAT OBJECT: strerror(errno)"; errno is kept */
void report_error(const char *what, const char *object);

/* "qmail-queued: warning: WHAT PATH", the path made safe */
void report_file(const char *what, const char *path);

/* "qmail-queued: TEXT" */
void report_text(const char *text);

#endif
