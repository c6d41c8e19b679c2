#ifndef REMOTE_REPORT_H
#define REMOTE_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include <skalibs/stralloc.h>

/* What became of a message: one outcome per recipient, and one for the message. */

enum { REMOTE_REPORT_TEXT_MAX = 3000 }; /* bytes of one text, as the spawner wants it */

struct remote_outcome {
    char letter; /* 'r' accepted, 's' temporary, 'h' permanent; 0: not asked */
    size_t at;   /* where the text begins */
};

/* Start with all zero. */
struct remote_report {
    struct remote_outcome *recipients; /* owned */
    size_t count;
    size_t room;
    stralloc texts; /* each ended by '\0' */
    char letter;    /* of the message: 'K', 'Z', 'D'; 0: not yet known */
    stralloc text;
};

/* Begin a report. returns true, or false for lack of memory; so do the others */
bool remote_report_reset(struct remote_report *report, size_t recipients);

/* Set the outcome of one recipient, or of the message (the last word counts). */
bool remote_report_recipient(struct remote_report *report, size_t index, char letter,
                             const char *text);
bool remote_report_message(struct remote_report *report, char letter, const char *text);

/* Append the classic output of qmail-remote: recipients as far as they were asked, then
 * the message, each letter, text, '\0': qmail's letters r h s and K Z D. */
bool remote_report_append_classic(stralloc *out, const struct remote_report *report);

/* Append one string per recipient, K, Z or D and a text, merged as qmail-rspawn does
 * it: 'h' is D and 's' is Z with the recipient's own text; everyone else gets the
 * message's letter and text.
 * total_max  bytes of all strings together: texts are cut so that they fit */
bool remote_report_append_merged(stralloc *out, const struct remote_report *report,
                                 size_t total_max);

void remote_report_free(struct remote_report *report);

#endif
