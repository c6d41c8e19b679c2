#ifndef SMTP_STREAM_H
#define SMTP_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The connection to the client: input in large blocks, replies gathered and written when
 * the input runs dry (RFC 2920 3.2), a deadline on everything. */

enum {
    SMTP_INPUT_MAX = 64 * 1024,
    SMTP_OUTPUT_MAX = 4096,
    SMTP_LINE_MAX = 4096, /* RFC 5321 4.5.3.1.4 asks for 512, parameters need more */
};

enum smtp_input {
    SMTP_INPUT_OK,
    SMTP_INPUT_TOO_LONG, /* a line over SMTP_LINE_MAX; all of it is gone */
    SMTP_INPUT_BARE_LF,  /* a line end without CR */
    SMTP_INPUT_TIMEOUT,
    SMTP_INPUT_CLOSED, /* the client is gone, or cannot be written to */
};

struct smtp_stream {
    int in_fd;
    int out_fd;
    bool kernel_waits_in;  /* SO_RCVTIMEO is set: no poll before a read */
    bool kernel_waits_out; /* SO_SNDTIMEO is set */
    bool is_broken;        /* a reply could not be written */
    int64_t timeout_ms;
    int64_t deadline_ms; /* monotonic; 0: begins with the next read */
    size_t start;        /* input[start..end) is read and not yet used */
    size_t end;
    size_t output_len;
    char output[SMTP_OUTPUT_MAX];
    char input[SMTP_INPUT_MAX];
};

void smtp_stream_init(struct smtp_stream *stream, int in_fd, int out_fd,
                      unsigned int timeout_s);

/* Read one command line, which ends with CRLF and nothing else (RFC 5321 2.3.8). The
 * client has the timeout for the whole line.
 * line     set to the line without CRLF, '\0' behind it; valid until the next read
 * returns  SMTP_INPUT_OK, or why there is none */
enum smtp_input smtp_stream_line(struct smtp_stream *stream, char **line, size_t *len);

/* Write the gathered replies, then read once and add to input; there must be room in it
 * after input[start..end) has been moved to the front.
 * returns  SMTP_INPUT_OK, SMTP_INPUT_TIMEOUT, SMTP_INPUT_CLOSED */
enum smtp_input smtp_stream_fill(struct smtp_stream *stream);

/* Give the client the timeout anew; or ms milliseconds from now, if that is less. */
void smtp_stream_extend(struct smtp_stream *stream);
void smtp_stream_hurry(struct smtp_stream *stream, int64_t ms);

/* Gather bytes of a reply; they are written when the room is full, or by fill and
 * flush. */
void smtp_stream_put(struct smtp_stream *stream, const char *bytes, size_t len);
void smtp_stream_flush(struct smtp_stream *stream);

/* Send what is gathered and end the connection so that the client can read it although
 * it may be sending still: what comes in is dropped for a moment. */
void smtp_stream_close(struct smtp_stream *stream);

#endif
