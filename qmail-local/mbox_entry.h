#ifndef MBOX_ENTRY_H
#define MBOX_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

#include <skalibs/buffer.h>
#include <skalibs/stralloc.h>

/* The form of one message in an mbox, mbox(5). Functions with `out` return true, or false
 * with errno (writing). */

/* Make "From sender Fri Nov 20 10:39:14 2026\n": UTC, MAILER-DAEMON for "", blanks in the
 * sender replaced by '-'. *line is replaced. returns true, or false for lack of memory */
bool mbox_make_from_(stralloc *line, const char *sender, int64_t unix_time);

/* Put such a line for a message of a Maildir: the sender is in its Return-Path line, if
 * that is the first one. */
bool mbox_put_found_from_(buffer *out, const char *message, size_t len,
                          int64_t unix_time);

/* Put the message, with '>' before lines like ">>From ", and an empty line after it. */
bool mbox_put_message(buffer *out, const char *message, size_t len);

/* Put what is missing at the end of an mbox, so that a message may follow: what a crash
 * has cut off does not end with an empty line, and would swallow the next From_ line.
 * fd       the mbox, of size bytes; if it is open for writing only, nothing is put
 * returns  true, or false with errno (reading, writing) */
bool mbox_put_separator(buffer *out, int fd, off_t size);

#endif
