#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The form of a message after DATA (RFC 5321 4.5.2, 2.3.8): every line ends with
 * CRLF, a line that begins with a dot gets another one, and there is no CR or LF
 * that is not part of CRLF.
 *
 * LF becomes CRLF; CR LF becomes one CRLF; any other CR becomes a blank: as a line end it
 * would make lines (so perhaps header fields, or the end of the message) that nobody here
 * has seen, and on the wire it is forbidden. A last line without LF gets its CRLF. */

struct wire {
    const char *at; /* what is left of the message */
    size_t left;
    bool at_line_start;
    bool has_cr; /* if not, no byte is looked at twice */
};

/* What one walk through the message tells. */
struct wire_size {
    uint64_t bytes; /* on the wire, without added dots, RFC 1870 5 */
    bool has_8bit;
};

/* Begin to encode a message; it must stay where it is. */
void wire_init(struct wire *wire, const char *message, size_t len);

enum { WIRE_ROOM_MIN = 64 };

/* Put the next piece of the wire form, without the final ".", into out.
 * room     at least WIRE_ROOM_MIN
 * returns  bytes written; 0 at the end of the message */
size_t wire_encode(struct wire *wire, char *out, size_t room);

/* returns the measures of a message; bytes may be too high where CR LF is folded */
struct wire_size wire_measure(const char *message, size_t len);

#endif
