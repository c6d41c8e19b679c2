#ifndef REMOTE_REPLY_H
#define REMOTE_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include <skalibs/stralloc.h>

/* One reply of an SMTP server, RFC 5321 4.2, in pieces as they come. */

enum {
    REMOTE_REPLY_TEXT_MAX = 2000, /* bytes kept for reports and for EHLO keywords */
    REMOTE_REPLY_BYTES_MAX =
        32 * 1024,                /* bytes read in all: more is no reply but an attack */
    REMOTE_REPLY_STATUS_MAX = 12, /* "5.123.123" and its '\0' */
};

enum remote_reply_status {
    REMOTE_REPLY_MORE, /* not complete yet */
    REMOTE_REPLY_DONE,
    REMOTE_REPLY_BAD, /* no SMTP reply, or too long: the connection is of no more use */
};

/* Start with all zero. */
struct remote_reply {
    unsigned int code; /* 200 to 599 once done, of the last line */
    stralloc text; /* the lines, codes included, each with '\n'; printable ASCII only */
    stralloc line; /* private: the line in the making */
    size_t bytes;  /* private: of this reply so far */
};

/* Forget what was read. returns true, or false for lack of memory */
bool remote_reply_reset(struct remote_reply *reply);

/* Continue with len bytes, of which *used are taken (all, or up to the end of the reply).
 * Lack of memory counts as REMOTE_REPLY_BAD. */
enum remote_reply_status remote_reply_feed(struct remote_reply *reply, const char *bytes,
                                           size_t len, size_t *used);

/* The first digit of the code: 2, 3, 4 or 5. */
unsigned int remote_reply_class(const struct remote_reply *reply);

/* Copy the enhanced status code (RFC 3463) of the reply, or, if it has none that agrees
 * with its class, the class and otherwise: "5" and ".1.1". x.4.1 and x.4.2 become
 * x.4.0: in our reports they say that *we* could not connect, which qmail-send takes as
 * the word on a destination.
 * status  REMOTE_REPLY_STATUS_MAX bytes */
void remote_reply_enhanced(char *status, const struct remote_reply *reply,
                           const char *otherwise);

void remote_reply_free(struct remote_reply *reply);

#endif
