#include "local_report.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "exitcode.h"
#include "handoff.h"
#include "text.h"

static const char gap[] = "\n...\n";

void
local_report_shorten(stralloc *text)
{
    enum { KEEP = (LOCAL_REPORT_MAX - sizeof gap) / 2 };

    if (text->len <= LOCAL_REPORT_MAX)
        return;
    memcpy(text->s + KEEP, gap, sizeof gap - 1);
    memmove(text->s + KEEP + sizeof gap - 1, text->s + text->len - KEEP, KEEP);
    text->len = 2 * KEEP + sizeof gap - 1;
    text->s[text->len] = '\0';
}

static const char *
letter_of(unsigned int code)
{
    return code == EXITCODE_OK ? "K" : code == EXITCODE_PERMANENT ? "D" : "Z";
}

static bool
make_strings(stralloc *strings, const char *number, unsigned int code, stralloc *text)
{
    local_report_shorten(text);
    for (size_t i = 0; i < text->len; i++)
        if (!text->s[i])
            text->s[i] = '_';
    return text_copy_bytes(strings, "report", sizeof "report") &&
           text_append_string(strings, number) && text_append(strings, letter_of(code)) &&
           text_append_bytes(strings, text->s, text->len) && stralloc_0(strings);
}

static enum handoff_status
send_when_ready(int socket, const stralloc *strings)
{
    struct handoff_parts parts = {.strings = strings->s, .strings_len = strings->len};
    enum handoff_status status;

    while ((status = handoff_send(socket, &parts)) == HANDOFF_WAIT) {
        struct pollfd entry = {.fd = socket, .events = POLLOUT};
        if (poll(&entry, 1, -1) < 0 && errno != EINTR)
            return HANDOFF_ERROR;
    }
    return status;
}

bool
local_report_send(int socket, const char *number, unsigned int code, stralloc *text)
{
    stralloc strings = STRALLOC_ZERO;
    enum handoff_status status = HANDOFF_ERROR;

    if (make_strings(&strings, number, code, text))
        status = send_when_ready(socket, &strings);
    stralloc_free(&strings);
    return status != HANDOFF_ERROR;
}
