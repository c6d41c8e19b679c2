#include "report.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>

#include "text.h"

static void
say(const char *kind, const char *what, const char *object, const char *reason)
{
    stralloc line = STRALLOC_ZERO;
    bool ok = text_copy(&line, "qmail-queued: ") && text_append(&line, kind) &&
              text_append(&line, what);
    if (ok && object)
        ok = text_append(&line, " ") &&
             text_append_safe(&line, object, strlen(object), false);
    if (ok && reason)
        ok = text_append(&line, ": ") && text_append(&line, reason);
    if (ok && text_append(&line, "\n"))
        allwrite(2, line.s, line.len);
    stralloc_free(&line);
}

void
report_error(const char *what, const char *object)
{
    int saved = errno;
    say("error: ", what, object, strerror(saved));
    errno = saved;
}

void
report_file(const char *what, const char *path)
{
    say("warning: ", what, path, NULL);
}

void
report_text(const char *text)
{
    say("", text, NULL, NULL);
}
