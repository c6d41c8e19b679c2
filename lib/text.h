#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

/* Small works on text. Functions that write to a stralloc leave s[len] == '\0', not
 * counted, and return false only for lack of memory. */

/* Replace the content of *out by a copy. */
bool text_copy(stralloc *out, const char *text);
bool text_copy_bytes(stralloc *out, const char *bytes, size_t len);

/* Append text, or bytes, or a decimal number. */
bool text_append(stralloc *out, const char *text);
bool text_append_bytes(stralloc *out, const char *bytes, size_t len);
bool text_append_number(stralloc *out, uint64_t number);

/* Append text, or a decimal number, and a counted '\0': the strings of a handoff. */
bool text_append_string(stralloc *out, const char *text);
bool text_append_number_string(stralloc *out, uint64_t number);

/* Append foreign text for a log line: every byte that is not printable ASCII becomes '_'
 * (blanks too when no_blanks), as qmail-send has always written addresses. */
bool text_append_safe(stralloc *out, const char *bytes, size_t len, bool no_blanks);

/* Scan a number of just width digits. base  10, or 16 with small letters
 * returns  false when another byte is among them, or it does not fit */
bool text_scan_digits(const char *text, size_t width, unsigned int base,
                      uint64_t *number);

/* Turn ASCII capitals into small letters, in place; other bytes stay. */
void text_lower(char *bytes, size_t len);

/* Compare without regard to the case of ASCII letters. */
bool text_equal_nocase(const char *a, const char *b);

/* Append "20 Nov 2026 10:39:14 -0000": RFC 5322 3.3 without the weekday, in UTC. */
bool text_append_date(stralloc *out, int64_t unix_time);

#endif
