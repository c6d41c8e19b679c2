#include "local_job.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "address.h"
#include "text.h"

static void
replace(stralloc *text, size_t from, const char *bytes, char by)
{
    for (size_t i = from; i < text->len; i++)
        if (strchr(bytes, text->s[i]))
            text->s[i] = by;
}

/* "From " sender, asctime's date with a day of two digits */
static bool
make_from_(stralloc *line, const char *sender, int64_t now)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char date[64];
    struct tm parts;
    time_t seconds = (time_t)now;

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

static bool
make_return_path(stralloc *line, const char *sender)
{
    stralloc safe = STRALLOC_ZERO;
    bool ok = text_copy(&safe, sender);

    if (ok) {
        replace(&safe, 0, "\n", '_');
        ok = text_copy(line, "Return-Path: <") && address_append_quoted(line, safe.s) &&
             text_append(line, ">\n");
    }
    stralloc_free(&safe);
    return ok;
}

static bool
make_delivered_to(stralloc *line, const struct local_job *job)
{
    if (!text_copy(line, "Delivered-To: ") || !text_append(line, job->local) ||
        !text_append(line, "@") || !text_append(line, job->domain))
        return false;
    replace(line, 0, "\n", '_');
    return text_append(line, "\n");
}

bool
local_lines_make(struct local_lines *lines, const struct local_job *job, int64_t now)
{
    return make_from_(&lines->from_, job->sender, now) &&
           make_return_path(&lines->return_path, job->sender) &&
           make_delivered_to(&lines->delivered_to, job);
}

void
local_lines_free(struct local_lines *lines)
{
    stralloc_free(&lines->from_);
    stralloc_free(&lines->return_path);
    stralloc_free(&lines->delivered_to);
}

/* An unterminated last line does not count. */
bool
local_job_loops(const struct local_job *job, const struct local_lines *lines)
{
    const char *at = job->message.bytes;
    const char *end = at + job->message.len;
    const stralloc *wanted = &lines->delivered_to;

    while (at < end && *at != '\n') {
        size_t left = (size_t)(end - at);
        if (left >= wanted->len && memcmp(at, wanted->s, wanted->len) == 0)
            return true;
        const char *newline = memchr(at, '\n', left);
        if (!newline)
            return false;
        at = newline + 1;
    }
    return false;
}
