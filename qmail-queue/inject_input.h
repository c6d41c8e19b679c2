#ifndef INJECT_INPUT_H
#define INJECT_INPUT_H

#include <stdbool.h>
#include <stddef.h>

#include <skalibs/stralloc.h>

/* A message on a descriptor: its header in memory, its body as a stream. If the first
 * line ends in CR LF, every CR LF of the message becomes LF. */

enum { INJECT_HEADER_MAX = 16 * 1024 * 1024 };

struct inject_input {
    int fd;            /* blocking */
    stralloc data;     /* what was read and is not consumed; the header is at its begin */
    size_t header_len; /* complete fields, each line ended by LF */
    bool has_body;     /* something follows the header, were it an empty line alone */
    /* private */
    size_t body_at;
    bool at_end;
    bool line_ends_known;
    bool has_returns;
    bool holds_return; /* a CR whose LF may come with the next read */
    bool ends_in_newline;
};

/* Read up to the end of the header. *input is zero but for fd. A first line "From ..."
 * (mbox) becomes the field MBOX-Line. The first line that is neither empty nor part
 * of a field begins the body.
 * returns  true; false with errno; EMSGSIZE: over INJECT_HEADER_MAX bytes of header */
bool inject_input_header(struct inject_input *input);

/* Give the next part of the body, in place of what data held before. The empty line
 * between header and body is not part of it; an unfinished last line gets its newline.
 * returns  true, *bytes valid until the next call, *len 0 at the end; false with errno */
bool inject_input_body(struct inject_input *input, const char **bytes, size_t *len);

#endif
