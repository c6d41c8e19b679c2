#include "remote_reply.h"

#include <string.h>

#include "text.h"

enum { LINE_MAX_KEPT = 1000, CODE_LEN = 3, STATUS_DIGITS_MAX = 3 };

bool
remote_reply_reset(struct remote_reply *reply)
{
    reply->code = 0;
    reply->bytes = 0;
    reply->line.len = 0;
    return text_copy(&reply->text, "");
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Append to the text, printable, as far as there is room. */
static bool
keep_line(struct remote_reply *reply)
{
    size_t room = REMOTE_REPLY_TEXT_MAX - reply->text.len;
    size_t len = reply->line.len < room ? reply->line.len : room;
    size_t before = reply->text.len;

    if (!text_append_bytes(&reply->text, reply->line.s, len))
        return false;
    for (size_t i = before; i < reply->text.len; i++)
        if (reply->text.s[i] < ' ' || reply->text.s[i] > '~')
            reply->text.s[i] = '?';
    if (reply->text.len < REMOTE_REPLY_TEXT_MAX)
        return text_append(&reply->text, "\n");
    return true;
}

/* A whole line has come: is it one of a reply, and the last? RFC 5321 4.2.1 */
static enum remote_reply_status
end_line(struct remote_reply *reply)
{
    const char *line = reply->line.s;
    size_t len = reply->line.len;

    if (len && line[len - 1] == '\r')
        len = --reply->line.len;
    if (len < CODE_LEN || line[0] < '2' || line[0] > '5' || !is_digit(line[1]) ||
        !is_digit(line[2]))
        return REMOTE_REPLY_BAD;
    if (len > CODE_LEN && line[CODE_LEN] != '-' && line[CODE_LEN] != ' ')
        return REMOTE_REPLY_BAD;
    bool is_last = len == CODE_LEN || line[CODE_LEN] == ' ';
    reply->code =
        (unsigned int)((line[0] - '0') * 100 + (line[1] - '0') * 10 + line[2] - '0');
    if (!keep_line(reply))
        return REMOTE_REPLY_BAD;
    reply->line.len = 0;
    return is_last ? REMOTE_REPLY_DONE : REMOTE_REPLY_MORE;
}

enum remote_reply_status
remote_reply_feed(struct remote_reply *reply, const char *bytes, size_t len, size_t *used)
{
    *used = 0;
    while (*used < len) {
        const char *at = bytes + *used;
        const char *newline = memchr(at, '\n', len - *used);
        size_t piece = newline ? (size_t)(newline - at) : len - *used;
        size_t room = LINE_MAX_KEPT - reply->line.len;

        *used += newline ? piece + 1 : piece;
        reply->bytes += newline ? piece + 1 : piece;
        if (reply->bytes > REMOTE_REPLY_BYTES_MAX ||
            !text_append_bytes(&reply->line, at, piece < room ? piece : room))
            return REMOTE_REPLY_BAD;
        if (!newline)
            break;
        enum remote_reply_status status = end_line(reply);
        if (status != REMOTE_REPLY_MORE)
            return status;
    }
    return REMOTE_REPLY_MORE;
}

unsigned int
remote_reply_class(const struct remote_reply *reply)
{
    return reply->code / 100;
}

/* The length of class "." subject "." detail at text, or 0. RFC 3463 2 */
static size_t
enhanced_length(const char *text, char class)
{
    size_t at = 1;
    if (text[0] != class)
        return 0;
    for (unsigned int part = 0; part < 2; part++) {
        size_t digits = 0;
        if (text[at++] != '.')
            return 0;
        while (digits < STATUS_DIGITS_MAX && is_digit(text[at + digits]))
            digits++;
        if (!digits)
            return 0;
        at += digits;
    }
    return text[at] == ' ' || text[at] == '\n' || text[at] == '\0' ? at : 0;
}

void
remote_reply_enhanced(char *status, const struct remote_reply *reply,
                      const char *otherwise)
{
    const char *last = reply->text.s; /* the last line's code counts */
    char class = (char)('0' + remote_reply_class(reply));
    size_t len = 0;

    for (const char *line = last; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (*line)
            last = line;
    }
    if (last && strlen(last) > CODE_LEN)
        len = enhanced_length(last + CODE_LEN + 1, class);
    if (len) {
        memcpy(status, last + CODE_LEN + 1, len);
    } else {
        status[0] = class;
        len = 1 + strnlen(otherwise, REMOTE_REPLY_STATUS_MAX - 2);
        memcpy(status + 1, otherwise, len - 1);
    }
    status[len] = '\0';
    if (strcmp(status + 1, ".4.1") == 0 || strcmp(status + 1, ".4.2") == 0)
        status[4] = '0';
}

void
remote_reply_free(struct remote_reply *reply)
{
    stralloc_free(&reply->text);
    stralloc_free(&reply->line);
    memset(reply, 0, sizeof *reply);
}
