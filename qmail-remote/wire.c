#include "wire.h"

#include <string.h>

/* What a line may add: a dot before, CR and LF behind. */
enum { LINE_EXTRA = 3 };

void
wire_init(struct wire *wire, const char *message, size_t len)
{
    *wire = (struct wire){
        .at = message,
        .left = len,
        .at_line_start = true,
        .has_cr = len && memchr(message, '\r', len) != NULL,
    };
}

/* Copy the inside of a line; a CR in it is not before LF. */
static void
copy_line(const struct wire *wire, char *out, size_t len)
{
    memcpy(out, wire->at, len);
    if (!wire->has_cr)
        return;
    for (char *cr = out; (cr = memchr(cr, '\r', len - (size_t)(cr - out)));)
        *cr++ = ' ';
}

/* How much of the len bytes before LF is the line itself: without the CR of a CR LF. */
static size_t
without_cr(const struct wire *wire, size_t len)
{
    return len && wire->has_cr && wire->at[len - 1] == '\r' ? len - 1 : len;
}

static void
advance(struct wire *wire, size_t len)
{
    wire->at += len;
    wire->left -= len;
}

/* Encode a piece of a line too long for the room. A CR as its last byte waits, for what
 * follows decides what it is. */
static size_t
encode_part(struct wire *wire, char *out, size_t len)
{
    if (wire->at[len - 1] == '\r')
        len--;
    copy_line(wire, out, len);
    advance(wire, len);
    wire->at_line_start = false;
    return len;
}

size_t
wire_encode(struct wire *wire, char *out, size_t room)
{
    size_t used = 0;

    while (wire->left && room - used > LINE_EXTRA + 2) {
        if (wire->at_line_start && wire->at[0] == '.') {
            out[used++] = '.';
            wire->at_line_start = false; /* if the line goes on in another piece */
        }
        size_t fits = room - used - LINE_EXTRA;
        size_t window = wire->left < fits ? wire->left : fits;
        const char *end = memchr(wire->at, '\n', window);
        if (!end && wire->left > window) {
            used += encode_part(wire, out + used, window);
            break;
        }
        size_t raw = end ? (size_t)(end - wire->at) : wire->left;
        size_t len = end ? without_cr(wire, raw) : raw;
        copy_line(wire, out + used, len);
        used += len;
        out[used++] = '\r';
        out[used++] = '\n';
        advance(wire, end ? raw + 1 : raw);
        wire->at_line_start = true;
    }
    return used;
}

struct wire_size
wire_measure(const char *message, size_t len)
{
    struct wire_size size = {.bytes = len};
    uint64_t high = 0, word;
    size_t at = 0;

    for (; len - at >= sizeof word; at += sizeof word) {
        memcpy(&word, message + at, sizeof word);
        high |= word;
    }
    for (; at < len; at++)
        high |= (unsigned char)message[at];
    size.has_8bit = (high & UINT64_C(0x8080808080808080)) != 0;

    const char *line = message, *end = message + len, *newline;
    while (line < end && (newline = memchr(line, '\n', (size_t)(end - line)))) {
        size.bytes++;
        line = newline + 1;
    }
    if (line < end)
        size.bytes += 2;
    return size;
}
