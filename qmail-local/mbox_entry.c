#include "mbox_entry.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "text.h"

static void
replace(stralloc *text, size_t from, const char *bytes, char by)
{
    for (size_t i = from; i < text->len; i++)
        if (strchr(bytes, text->s[i]))
            text->s[i] = by;
}

bool
mbox_make_from_(stralloc *line, const char *sender, int64_t unix_time)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char date[64];
    struct tm parts;
    time_t seconds = (time_t)unix_time;

    if (!gmtime_r(&seconds, &parts))
        return false;
    snprintf(date, sizeof date, " %.3s %.3s %02d %02d:%02d:%02d %d\n",
             days + 3 * parts.tm_wday, months + 3 * parts.tm_mon, parts.tm_mday,
             parts.tm_hour, parts.tm_min, parts.tm_sec, parts.tm_year + 1900);
    if (!text_copy(line, "From ") ||
        !text_append(line, *sender ? sender : "MAILER-DAEMON"))
        return false;
    replace(line, strlen("From "), " \t\n", '-');
    return text_append(line, date);
}

bool
mbox_put_found_from_(buffer *out, const char *message, size_t len, int64_t unix_time)
{
    static const char name[] = "Return-Path: <";
    stralloc sender = STRALLOC_ZERO;
    stralloc line = STRALLOC_ZERO;
    const char *end = memchr(message, '\n', len);
    size_t line_len = end ? (size_t)(end - message) : len;
    bool ok = text_copy(&sender, "");

    if (line_len >= sizeof name && memcmp(message, name, sizeof name - 1) == 0 &&
        message[line_len - 1] == '>')
        ok = text_copy_bytes(&sender, message + sizeof name - 1, line_len - sizeof name);
    ok = ok && mbox_make_from_(&line, sender.s, unix_time) &&
         buffer_put(out, line.s, line.len) >= 0;
    stralloc_free(&sender);
    stralloc_free(&line);
    return ok;
}

/* A line of the form ">*From " needs one more '>'. */
static bool
needs_quoting(const char *line, size_t len)
{
    size_t i = 0;
    while (i < len && line[i] == '>')
        i++;
    return len - i >= 5 && memcmp(line + i, "From ", 5) == 0;
}

static bool
put(buffer *out, const char *bytes, size_t len)
{
    return buffer_put(out, bytes, len) >= 0;
}

bool
mbox_put_message(buffer *out, const char *message, size_t len)
{
    while (len) {
        const char *newline = memchr(message, '\n', len);
        size_t line_len = newline ? (size_t)(newline - message) : len;
        if (needs_quoting(message, line_len) && !put(out, ">", 1))
            return false;
        if (!put(out, message, line_len) || !put(out, "\n", 1))
            return false;
        if (!newline)
            break;
        message = newline + 1;
        len -= line_len + 1;
    }
    return put(out, "\n", 1);
}

bool
mbox_put_separator(buffer *out, int fd, off_t size)
{
    char end[] = {'\n', '\n'}; /* an empty file needs nothing */
    size_t len = size < (off_t)sizeof end ? (size_t)size : sizeof end;
    ssize_t got = pread(fd, end + sizeof end - len, len, size - (off_t)len);

    if (got < 0)
        return errno == EBADF;
    if (end[1] != '\n')
        return put(out, "\n\n", 2);
    return end[0] == '\n' || put(out, "\n", 1);
}
