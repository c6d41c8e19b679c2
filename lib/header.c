#include "header.h"

#include <string.h>
#include <strings.h>

static bool
is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

size_t
header_name_length(const char *line, size_t len)
{
    size_t name_len = 0;
    while (name_len < len && line[name_len] > ' ' && line[name_len] < 127 &&
           line[name_len] != ':')
        name_len++;
    size_t colon = name_len;
    while (colon < len && is_blank(line[colon]))
        colon++;
    return colon < len && line[colon] == ':' ? name_len : 0;
}

bool
header_is_continuation(const char *line, size_t len)
{
    return len > 0 && is_blank(line[0]);
}

static size_t
line_length(const char *bytes, size_t len)
{
    const char *newline = len ? memchr(bytes, '\n', len) : NULL;
    return newline ? (size_t)(newline - bytes) + 1 : len;
}

bool
header_next(const char *header, size_t len, size_t *at, struct header_field *field)
{
    size_t left = len - *at;
    if (!left)
        return false;
    field->bytes = header + *at;
    field->len = line_length(field->bytes, left);
    field->name_len = header_name_length(field->bytes, field->len);
    if (!field->name_len)
        return false;
    while (header_is_continuation(field->bytes + field->len, left - field->len))
        field->len += line_length(field->bytes + field->len, left - field->len);
    const char *colon = memchr(field->bytes, ':', field->len);
    field->value = colon + 1;
    field->value_len = field->len - (size_t)(field->value - field->bytes);
    *at += field->len;
    return true;
}

bool
header_field_is(const struct header_field *field, const char *name)
{
    return strlen(name) == field->name_len &&
           strncasecmp(field->bytes, name, field->name_len) == 0;
}
