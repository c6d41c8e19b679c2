#ifndef SPAWN_REPORT_H
#define SPAWN_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include <skalibs/stralloc.h>

#include "handoff.h"

/* What became of a job: one string per recipient, K (delivered), Z (try again) or D
 * (failed), then text. This module makes such strings from what delivery processes say,
 * who are not trusted. */

enum {
    SPAWN_REPORT_TEXT_MAX =
        3000, /* bytes kept of one recipient's text, as in qmail-lspawn */
};

/* The longest text per recipient with which so many recipients' report fits a packet. */
size_t spawn_report_room(unsigned int recipients);

/* Append the strings of a session's report packet ("report", number, then these) to *out,
 * each cut to `room` bytes of text.
 * returns  1; 0: mangled, *out is as before: not one string per recipient, or another
 *          letter; -1: no memory */
int spawn_report_append(stralloc *out, const struct handoff *packet,
                        unsigned int recipients, size_t room);

/* Append one string, its letter first, its text cut. returns false: no memory */
bool spawn_report_append_one(stralloc *out, const char *text, size_t room);

/* Append the same letter and text for each recipient. returns false: no memory */
bool spawn_report_append_all(stralloc *out, unsigned int recipients, const char *text);

/* Append one string for a run of a classic program: from its wait status and its output.
 * _remote  what qmail-rspawn makes of qmail-remote's report: recipient reports (r, h, s),
 *          then a message report (K, Z, D), each ended by NUL
 * _local   what qmail-lspawn makes of qmail-local's exit code and output (up to a NUL)
 * name     the program's name for texts of our own
 * returns  false: no memory */
bool spawn_report_append_remote(stralloc *out, const char *name, int wait_status,
                                const stralloc *output);
bool spawn_report_append_local(stralloc *out, const char *name, int wait_status,
                               const stralloc *output);

#endif
