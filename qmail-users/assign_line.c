#include "assign_line.h"

#include <stdint.h>
#include <string.h>

#include <skalibs/types.h>

#include "text.h"

enum { FIELDS = 6 }; /* user uid gid homedir dash ext */

/* Copy the six fields that follow the local part into *data, a NUL between each
 * and none at the end.
 * returns  null, or what is wrong with them; *data without memory is empty */
static const char *
copy_fields(stralloc *data, const char *fields, size_t len)
{
    const char *start[FIELDS];
    uint32_t number;

    if (!text_copy_bytes(data, fields, len))
        return "out of memory";
    size_t at = 0;
    for (unsigned int i = 0; i < FIELDS; i++) {
        char *colon = memchr(data->s + at, ':', data->len - at);
        if (!colon)
            return "fewer than seven fields that end with a colon";
        start[i] = data->s + at;
        *colon = '\0';
        at = (size_t)(colon - data->s) + 1;
    }
    data->len = at - 1; /* lookups append to ext, so it has no NUL */
    if (!*start[0])
        return "the user is empty";
    if (!uint320_scan(start[1], &number) || number == UINT32_MAX)
        return "the uid is no number";
    if (!uint320_scan(start[2], &number) || number == UINT32_MAX)
        return "the gid is no number";
    if (!*start[3])
        return "the home directory is empty";
    return NULL;
}

enum assign_status
assign_line_parse(const char *line, size_t len, stralloc *key, stralloc *data, char *wild,
                  const char **reason)
{
    *wild = '\0';
    *reason = len > ASSIGN_LINE_MAX     ? "the line is too long"
              : !len                    ? "empty lines are not allowed"
              : memchr(line, '\0', len) ? "there is a NUL byte in the line"
              : line[0] == ':'          ? "the line begins with a colon"
              : !memchr(line, ':', len) ? "there is no colon"
                                        : NULL;
    if (*reason)
        return ASSIGN_SYNTAX;
    size_t colon = (size_t)((const char *)memchr(line, ':', len) - line);
    bool is_wildcard = line[0] == '+';

    if (!text_copy(key, "!") || !text_append_bytes(key, line + 1, colon - 1) ||
        (!is_wildcard && !stralloc_0(key)))
        return ASSIGN_ERROR;
    text_lower(key->s, key->len);
    if (is_wildcard && colon > 1)
        *wild = key->s[key->len - 1];
    *reason = copy_fields(data, line + colon + 1, len - colon - 1);
    return *reason ? ASSIGN_SYNTAX : ASSIGN_RECORD;
}
