#include "dot_line.h"

#include <string.h>

void
dot_lines_start(struct dot_lines *lines, char *text, size_t len, bool forward_only)
{
    lines->at = text;
    lines->end = text + len;
    lines->is_first = true;
    lines->forward_only = forward_only;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Cut the next line off: *start to the '\0' that is put in place of the newline or of the
 * blanks before it. returns its length; a NUL inside is still there */
static size_t
cut_line(struct dot_lines *lines, char **start)
{
    *start = lines->at;
    char *newline = memchr(lines->at, '\n', (size_t)(lines->end - lines->at));
    char *stop = newline ? newline : lines->end;
    lines->at = newline ? newline + 1 : lines->end;
    while (stop > *start && is_blank(stop[-1]))
        stop--;
    *stop = '\0';
    return (size_t)(stop - *start);
}

static enum dot_line_kind
kind_of_address(char *start, struct dot_line *line)
{
    while (is_blank(*start))
        start++;
    if (*start == '&')
        start++;
    while (is_blank(*start))
        start++;
    line->text = start;
    return *line->text ? DOT_LINE_FORWARD : DOT_LINE_NO_ADDRESS;
}

static enum dot_line_kind
kind_of_line(struct dot_lines *lines, char *start, size_t len, struct dot_line *line)
{
    switch (*start) {
    case '#':
        return DOT_LINE_NOTHING;
    case '+':
        if (strcmp(start, "+list") == 0)
            lines->forward_only = true;
        return DOT_LINE_NOTHING;
    case '|':
        line->text = start + 1;
        return lines->forward_only ? DOT_LINE_PROGRAM_FORBIDDEN : DOT_LINE_PROGRAM;
    case '.':
    case '/':
        if (lines->forward_only)
            return DOT_LINE_FILE_FORBIDDEN;
        return start[len - 1] == '/' ? DOT_LINE_MAILDIR : DOT_LINE_MBOX;
    default:
        return kind_of_address(start, line);
    }
}

bool
dot_lines_next(struct dot_lines *lines, struct dot_line *line)
{
    char *start;
    bool is_first = lines->is_first;

    if (lines->at == lines->end)
        return false;
    size_t len = cut_line(lines, &start);
    lines->is_first = false;
    line->text = start;
    if (!*start && is_first)
        line->kind = DOT_LINE_BLANK_FIRST;
    else if (len && *start != '#' && memchr(start, '\0', len))
        line->kind = DOT_LINE_NUL;
    else if (!len)
        line->kind = DOT_LINE_NOTHING;
    else
        line->kind = kind_of_line(lines, start, len, line);
    return true;
}

const char *
dot_line_complaint(enum dot_line_kind kind)
{
    switch (kind) {
    case DOT_LINE_BLANK_FIRST:
        return "the first line of the .qmail file is blank (#4.2.1)";
    case DOT_LINE_FILE_FORBIDDEN:
        return "the .qmail file may only forward, but has a mailbox line (#4.7.0)";
    case DOT_LINE_PROGRAM_FORBIDDEN:
        return "the .qmail file may only forward, but has a program line (#4.7.0)";
    case DOT_LINE_NUL:
        return "a line of the .qmail file has a NUL byte (#4.2.1)";
    case DOT_LINE_NO_ADDRESS:
        return "a line of the .qmail file forwards to no address (#4.2.1)";
    default:
        return NULL;
    }
}
