#include "smtp_stream.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/time.h>

#include "clock.h"

enum {
    LINGER_MS = 2000,
    LINGER_READS = 64, /* at most 4 MiB are dropped at the end */
};

/* A socket waits in the kernel, which saves a poll() before every read and write.
 * It waits the whole time each time: a read or write that ended early is not repeated
 * without a poll(). */
static bool
set_kernel_timeout(int fd, int option, int64_t timeout_ms)
{
    struct timeval timeout = {.tv_sec = (time_t)(timeout_ms / 1000),
                              .tv_usec = (suseconds_t)(timeout_ms % 1000 * 1000)};
    return setsockopt(fd, SOL_SOCKET, option, &timeout, sizeof timeout) == 0;
}

void
smtp_stream_init(struct smtp_stream *stream, int in_fd, int out_fd,
                 unsigned int timeout_s)
{
    stream->in_fd = in_fd;
    stream->out_fd = out_fd;
    stream->timeout_ms = (int64_t)timeout_s * 1000;
    stream->kernel_waits_in = set_kernel_timeout(in_fd, SO_RCVTIMEO, stream->timeout_ms);
    stream->kernel_waits_out =
        set_kernel_timeout(out_fd, SO_SNDTIMEO, stream->timeout_ms);
    stream->is_broken = false;
    stream->deadline_ms = 0;
    stream->start = stream->end = stream->output_len = 0;
}

void
smtp_stream_extend(struct smtp_stream *stream)
{
    stream->deadline_ms = 0;
}

void
smtp_stream_hurry(struct smtp_stream *stream, int64_t ms)
{
    stream->deadline_ms =
        clock_monotonic_ms() + (ms < stream->timeout_ms ? ms : stream->timeout_ms);
}

void
smtp_stream_flush(struct smtp_stream *stream)
{
    size_t done = 0;
    int64_t deadline_ms = clock_monotonic_ms() + stream->timeout_ms;

    while (done < stream->output_len && !stream->is_broken) {
        if (!stream->kernel_waits_out &&
            !clock_wait_ready(stream->out_fd, POLLOUT, deadline_ms)) {
            stream->is_broken = true;
            break;
        }
        ssize_t sent =
            write(stream->out_fd, stream->output + done, stream->output_len - done);
        if (sent > 0)
            done += (size_t)sent;
        else if (sent == 0 || (errno != EAGAIN && errno != EINTR))
            stream->is_broken = true;
        stream->kernel_waits_out &= done == stream->output_len;
    }
    stream->output_len = 0;
}

void
smtp_stream_put(struct smtp_stream *stream, const char *bytes, size_t len)
{
    while (len) {
        size_t room = SMTP_OUTPUT_MAX - stream->output_len;
        size_t take = len < room ? len : room;
        memcpy(stream->output + stream->output_len, bytes, take);
        stream->output_len += take;
        bytes += take;
        len -= take;
        if (len)
            smtp_stream_flush(stream);
    }
}

enum smtp_input
smtp_stream_fill(struct smtp_stream *stream)
{
    if (stream->output_len)
        smtp_stream_flush(stream);
    if (stream->is_broken)
        return SMTP_INPUT_CLOSED;
    size_t left = stream->end - stream->start;
    if (stream->start && left)
        memmove(stream->input, stream->input + stream->start, left);
    stream->start = 0;
    stream->end = left;
    bool kernel_waits = stream->kernel_waits_in && !stream->deadline_ms;
    if (!stream->deadline_ms)
        stream->deadline_ms = clock_monotonic_ms() + stream->timeout_ms;

    for (;; kernel_waits = false) {
        if (!kernel_waits &&
            !clock_wait_ready(stream->in_fd, POLLIN, stream->deadline_ms))
            return SMTP_INPUT_TIMEOUT;
        ssize_t got =
            read(stream->in_fd, stream->input + stream->end, SMTP_INPUT_MAX - left);
        if (got > 0) {
            stream->end += (size_t)got;
            break;
        }
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            return SMTP_INPUT_CLOSED;
    }
    /* the process may have been stopped for longer */
    return clock_monotonic_ms() > stream->deadline_ms ? SMTP_INPUT_TIMEOUT
                                                      : SMTP_INPUT_OK;
}

/* A line that ends at line_end has been found: what is it? */
static enum smtp_input
take_line(struct smtp_stream *stream, char *line_end, char **line, size_t *len)
{
    char *begin = stream->input + stream->start;
    stream->start = (size_t)(line_end + 1 - stream->input);
    if (line_end == begin || line_end[-1] != '\r')
        return SMTP_INPUT_BARE_LF;
    line_end[-1] = '\0';
    *line = begin;
    *len = (size_t)(line_end - 1 - begin);
    return *len > SMTP_LINE_MAX ? SMTP_INPUT_TOO_LONG : SMTP_INPUT_OK;
}

enum smtp_input
smtp_stream_line(struct smtp_stream *stream, char **line, size_t *len)
{
    bool is_too_long = false;
    size_t scanned = 0; /* bytes from start on without LF */
    enum smtp_input status;

    smtp_stream_extend(stream);
    for (;;) {
        size_t held = stream->end - stream->start;
        char *begin = stream->input + stream->start;
        char *found = memchr(begin + scanned, '\n', held - scanned);
        if (found) {
            status = take_line(stream, found, line, len);
            return status == SMTP_INPUT_OK && is_too_long ? SMTP_INPUT_TOO_LONG : status;
        }
        if (held > SMTP_LINE_MAX + 1) {
            is_too_long = true;
            stream->start = stream->end - 1; /* that byte may be the CR */
            held = 1;
        }
        scanned = held;
        status = smtp_stream_fill(stream);
        if (status != SMTP_INPUT_OK)
            return status;
    }
}

void
smtp_stream_close(struct smtp_stream *stream)
{
    smtp_stream_flush(stream);
    if (stream->is_broken || shutdown(stream->out_fd, SHUT_WR) < 0)
        return;
    /* Closing with unread input makes the kernel send a reset, which takes the reply away
     * from the client that has not read it yet. */
    int64_t deadline_ms = clock_monotonic_ms() + LINGER_MS;
    for (int i = 0; i < LINGER_READS; i++)
        if (!clock_wait_ready(stream->in_fd, POLLIN, deadline_ms) ||
            read(stream->in_fd, stream->input, SMTP_INPUT_MAX) <= 0)
            return;
}
