#include "event_log.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

void
event_log_text(struct event_log *log, const char *text)
{
    (void)text_append(&log->pending, text);
}

void
event_log_number(struct event_log *log, uint64_t number)
{
    (void)text_append_number(&log->pending, number);
}

void
event_log_safe(struct event_log *log, const char *text)
{
    size_t start = log->pending.len;
    if (!text_append(&log->pending, text))
        return;
    for (size_t i = start; i < log->pending.len; i++) {
        char *byte = &log->pending.s[i];
        if (*byte == '\n')
            *byte = '/';
        else if (*byte < 33 || *byte > 126 || *byte == '%')
            *byte = '_';
    }
}

void
event_log_end(struct event_log *log)
{
    event_log_text(log, "\n");
    /* a turn with much to tell does not hold it all; an error shows again at its end */
    if (log->pending.len > EVENT_LOG_MAX)
        (void)event_log_flush(log);
}

void
event_log_line(struct event_log *log, const char *text, int error)
{
    event_log_text(log, text);
    if (error) {
        event_log_text(log, ": ");
        event_log_text(log, strerror(error));
    }
    event_log_end(log);
}

bool
event_log_flush(struct event_log *log)
{
    size_t written = 0;
    while (written < log->pending.len) {
        ssize_t got = write(1, log->pending.s + written, log->pending.len - written);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        written += (size_t)got;
    }
    log->pending.len = 0;
    return true;
}
