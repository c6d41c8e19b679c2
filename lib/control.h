#ifndef CONTROL_H
#define CONTROL_H

#include <stdint.h>

#include <skalibs/stralloc.h>

/* control/ files. Paths begin at the home; write each as one literal, "control/me". */

enum control_status { CONTROL_ERROR, CONTROL_ABSENT, CONTROL_FOUND };

/* Read the first line of path, without its newline and trailing blanks and tabs.
 * value    owned and freed by the caller; the old content is replaced; s[len] is '\0'
 * returns  CONTROL_FOUND, for an empty line too;
 *          CONTROL_ABSENT when there is no such file: *value is empty, use your default;
 *          CONTROL_ERROR with errno set (ENOMEM, EACCES, EIO...): *value is undefined
 */
enum control_status control_read_line(stralloc *value, const char *path);

/* The same, with control/me and then the literal `otherwise` in place of a missing file.
 * returns  CONTROL_FOUND or CONTROL_ERROR */
enum control_status control_read_line_or_me(stralloc *value, const char *path,
                                            const char *otherwise);

/* Read every line of path that is not empty and does not begin with '#'.
 * list     replaced; each item without trailing blanks and tabs and followed by '\0',
 *          so that walking it is: for (p = s; p < s + len; p += strlen(p) + 1);
 *          items with a NUL are cut
 * returns  as control_read_line */
enum control_status control_read_list(stralloc *list, const char *path);

/* Read a decimal number from the first line of path.
 * value    left alone unless CONTROL_FOUND, so set your default first
 * returns  as control_read_line, but CONTROL_ABSENT for an empty line too; CONTROL_ERROR
 *          with EINVAL when the line is no number */
enum control_status control_read_number(uint64_t *value, const char *path);

#endif
