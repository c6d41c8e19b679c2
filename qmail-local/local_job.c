#include "local_job.h"

#include <string.h>

#include "address.h"
#include "mbox_entry.h"
#include "text.h"

/* A newline inside would begin another line. */
static void
tame(stralloc *text)
{
    for (size_t i = 0; i < text->len; i++)
        if (text->s[i] == '\n')
            text->s[i] = '_';
}

static bool
make_return_path(stralloc *line, const char *sender)
{
    stralloc safe = STRALLOC_ZERO;
    bool ok = text_copy(&safe, sender);

    if (ok) {
        tame(&safe);
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
    tame(line);
    return text_append(line, "\n");
}

bool
local_lines_make(struct local_lines *lines, const struct local_job *job, int64_t now)
{
    return mbox_make_from_(&lines->from_, job->sender, now) &&
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
