#include "smtp_decode.h"

#include <string.h>
#include <strings.h>

void
smtp_decode_start(struct smtp_decode *decode)
{
    memset(decode, 0, sizeof *decode);
    decode->is_line_start = true;
    decode->in_header = true;
}

static bool
is_hop(const struct smtp_decode *decode)
{
    return (decode->prefix_len >= 9 &&
            strncasecmp(decode->prefix, "Received:", 9) == 0) ||
           (decode->prefix_len >= 13 &&
            strncasecmp(decode->prefix, "Delivered-To:", 13) == 0);
}

/* Count the trace fields among decoded bytes, until the header's end. */
static void
count_hops(struct smtp_decode *decode, const char *bytes, size_t len)
{
    while (len) {
        while (len && *bytes != '\n' && decode->prefix_len < SMTP_DECODE_PREFIX_MAX) {
            decode->prefix[decode->prefix_len++] = *bytes++;
            len--;
        }
        const char *line_end = memchr(bytes, '\n', len);
        if (!line_end)
            return;
        if (!decode->prefix_len) {
            decode->in_header = false;
            return;
        }
        decode->hops += is_hop(decode);
        decode->prefix_len = 0;
        len -= (size_t)(line_end + 1 - bytes);
        bytes = line_end + 1;
    }
}

/* What a line that begins with a dot is. */
enum dot { DOT_UNDECIDED, DOT_END, DOT_STUFFED };

static enum dot
look_at_dot(const char *at, const char *end)
{
    if (end - at >= 2 && at[1] != '\r')
        return DOT_STUFFED;
    if (end - at < 3)
        return DOT_UNDECIDED;
    return at[2] == '\n' ? DOT_END : DOT_STUFFED;
}

bool
smtp_decode_block(struct smtp_decode *decode, char *bytes, size_t len, size_t *used,
                  size_t *out_len)
{
    const char *at = bytes;
    const char *end = bytes + len;
    char *out = bytes;
    enum dot dot = DOT_STUFFED;

    while (at < end) {
        if (decode->is_line_start && *at == '.') {
            dot = look_at_dot(at, end);
            if (dot != DOT_STUFFED)
                break;
            at++;
        }
        decode->is_line_start = false;
        const char *cr = memchr(at, '\r', (size_t)(end - at));
        size_t text_len = (size_t)((cr ? cr : end) - at);
        if (!decode->has_bare && memchr(at, '\n', text_len))
            decode->has_bare = true;
        if (out != at)
            memmove(out, at, text_len);
        out += text_len;
        at += text_len;
        if (!cr || cr + 1 == end)
            break;
        if (cr[1] == '\n') {
            *out++ = '\n';
            at += 2;
            decode->is_line_start = true;
        } else {
            decode->has_bare = true;
            *out++ = '\r';
            at++;
        }
    }
    if (dot == DOT_END)
        at += 3;
    *used = (size_t)(at - bytes);
    *out_len = (size_t)(out - bytes);
    if (decode->in_header)
        count_hops(decode, bytes, *out_len);
    return dot == DOT_END;
}
