#ifndef HEADER_H
#define HEADER_H

#include <stdbool.h>
#include <stddef.h>

/* The fields of a message header, RFC 5322 2.2, in memory. Lines end with LF (a CR before
 * it is a blank at the end of the line). Nothing is copied. */

struct header_field {
    const char *bytes; /* the whole field with its continuation lines and newlines */
    size_t len;
    size_t name_len;   /* without the colon and without blanks before it */
    const char *value; /* what follows the colon, newlines included */
    size_t value_len;
};

/* Does this line begin a field? RFC 5322 2.2: printable ASCII without blanks and colon,
 * then a colon; blanks before the colon (RFC 5322 4.5) are accepted.
 * returns  the length of the name, or 0 when it does not */
size_t header_name_length(const char *line, size_t len);

/* Does this line continue the field before it? It begins with a blank or tab. */
bool header_is_continuation(const char *line, size_t len);

/* Walk the fields of a header of len bytes; *at starts at 0. The walk ends at the first
 * line that neither begins nor continues a field (the empty line before the body is one);
 * *at is then its offset, or len.
 * returns  true with *field set and *at behind it, or false at the end */
bool header_next(const char *header, size_t len, size_t *at, struct header_field *field);

/* Has the field this name? Case of ASCII letters does not count. */
bool header_field_is(const struct header_field *field, const char *name);

#endif
