#ifndef DOT_LINE_H
#define DOT_LINE_H

#include <stdbool.h>
#include <stddef.h>

/* The lines of a .qmail file, one after the other; dot-qmail(5). */

enum dot_line_kind {
    DOT_LINE_NOTHING, /* a comment, an empty line, "+list", an unknown "+word" */
    DOT_LINE_PROGRAM, /* text: what /bin/sh -c gets */
    DOT_LINE_MAILDIR, /* text: a path that ends in '/' */
    DOT_LINE_MBOX,    /* text: a path */
    DOT_LINE_FORWARD, /* text: an address, never empty */
    /* what stops the delivery until its owner has seen to it: */
    DOT_LINE_BLANK_FIRST,
    DOT_LINE_FILE_FORBIDDEN,    /* a Maildir or mbox where only forwards are allowed */
    DOT_LINE_PROGRAM_FORBIDDEN, /* a program there */
    DOT_LINE_NUL,               /* the line has a NUL byte */
    DOT_LINE_NO_ADDRESS,        /* '&' and nothing */
};

struct dot_line {
    enum dot_line_kind kind;
    const char *text; /* into the file's text, ended by '\0' */
};

struct dot_lines {
    char *at, *end;    /* what is still to be read */
    bool is_first;     /* nothing has been read */
    bool forward_only; /* x bit, or "+list" seen */
};

/* Begin with text, len bytes and a '\0' after them. It is written to while being read. */
void dot_lines_start(struct dot_lines *lines, char *text, size_t len, bool forward_only);

/* Read the next line. returns false at the end */
bool dot_lines_next(struct dot_lines *lines, struct dot_line *line);

/* The sentence for a report, with its status code, for the kinds that stop a delivery;
 * null for the others. */
const char *dot_line_complaint(enum dot_line_kind kind);

#endif
