#include "inject_input.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "header.h"

enum { CHUNK = 65536 };

/* Take the CR of every CR LF away, from offset on; hold a CR at the very end back. */
static void
remove_returns(struct inject_input *input, size_t offset)
{
    stralloc *data = &input->data;
    size_t to = offset;
    for (size_t i = offset; i < data->len; i++) {
        bool is_last = i + 1 == data->len;
        if (data->s[i] == '\r' && is_last && !input->at_end)
            input->holds_return = true;
        else if (data->s[i] != '\r' || is_last || data->s[i + 1] != '\n')
            data->s[to++] = data->s[i];
    }
    data->len = to;
}

/* How the first line ends decides: programs that write CR LF write it everywhere. */
static void
learn_line_ends(struct inject_input *input)
{
    stralloc *data = &input->data;
    const char *newline = data->len ? memchr(data->s, '\n', data->len) : NULL;
    if (!newline && !input->at_end && data->len < INJECT_HEADER_MAX)
        return;
    input->line_ends_known = true;
    input->has_returns = newline && newline > data->s && newline[-1] == '\r';
    if (input->has_returns)
        remove_returns(input, 0);
}

/* Append the next bytes of the descriptor to data. returns false with errno */
static bool
fill(struct inject_input *input)
{
    stralloc *data = &input->data;
    size_t old_len = data->len;
    ssize_t got;

    if (!stralloc_readyplus(data, CHUNK + 2))
        return false;
    if (input->holds_return)
        data->s[data->len++] = '\r';
    input->holds_return = false;
    do
        got = read(input->fd, data->s + data->len, CHUNK);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return false;
    data->len += (size_t)got;
    input->at_end = got == 0;
    if (!input->line_ends_known)
        learn_line_ends(input);
    else if (input->has_returns)
        remove_returns(input, old_len);
    return true;
}

/* Put prefix before data. */
static bool
put_in_front(stralloc *data, const char *prefix)
{
    size_t len = strlen(prefix);
    if (!stralloc_readyplus(data, len))
        return false;
    memmove(data->s + len, data->s, data->len);
    memcpy(data->s, prefix, len);
    data->len += len;
    return true;
}

/* Make the line that begins at header_len complete in data. An unfinished last
 * line gets its newline. A line that cannot be a field, or is too long for one,
 * may stay incomplete.
 * returns  true with its length, 0 at the end; false with errno */
static bool
complete_line(struct inject_input *input, size_t *len)
{
    stralloc *data = &input->data;
    for (size_t searched = 0;;) {
        size_t left = data->len - input->header_len;
        const char *line = data->s + input->header_len;
        const char *newline =
            left > searched ? memchr(line + searched, '\n', left - searched) : NULL;
        *len = newline ? (size_t)(newline - line) + 1 : left;
        if (newline || data->len > INJECT_HEADER_MAX)
            return true;
        if (input->at_end) {
            *len = left ? left + 1 : 0;
            return !left || stralloc_catb(data, "\n", 1);
        }
        searched = left ? left - 1 : 0; /* a CR before it may have gone */
        if (!fill(input))
            return false;
    }
}

static bool
begin_body(struct inject_input *input, size_t at)
{
    input->has_body = true;
    input->body_at = at;
    input->ends_in_newline = true;
    return true;
}

bool
inject_input_header(struct inject_input *input)
{
    size_t len;

    for (;;) {
        if (!complete_line(input, &len))
            return false;
        const char *line = input->data.s + input->header_len;
        if (len == 0)
            break;
        bool is_first = input->header_len == 0;
        if (is_first && len >= 5 && memcmp(line, "From ", 5) == 0) {
            if (!put_in_front(&input->data, "MBOX-Line: "))
                return false;
            continue;
        }
        if (line[0] == '\n')
            return begin_body(input, input->header_len + 1);
        if (!header_name_length(line, len) &&
            (is_first || !header_is_continuation(line, len)))
            return begin_body(input, input->header_len);
        input->header_len += len;
        if (input->header_len > INJECT_HEADER_MAX) {
            errno = EMSGSIZE;
            return false;
        }
    }
    return true;
}

bool
inject_input_body(struct inject_input *input, const char **bytes, size_t *len)
{
    stralloc *data = &input->data;

    *len = 0;
    if (!input->has_body)
        return true;
    while (input->body_at == data->len && !input->at_end) {
        data->len = input->body_at = 0;
        if (!fill(input))
            return false;
    }
    *bytes = data->s + input->body_at;
    *len = data->len - input->body_at;
    input->body_at = data->len;
    if (*len) {
        input->ends_in_newline = (*bytes)[*len - 1] == '\n';
    } else if (!input->ends_in_newline) {
        *bytes = "\n";
        *len = 1;
        input->ends_in_newline = true;
    }
    return true;
}
