#ifndef RECEIVED_H
#define RECEIVED_H

#include <stdbool.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

/* The trace line of a message that came over the network. */

struct received {
    const char *remote_host; /* never null: "unknown" where the client has no name */
    const char *remote_ip;   /* never null */
    const char *remote_info; /* null: none */
    const char *helo;        /* null: none */
    const char *local;       /* our name, or address */
    const char
        *protocol; /* "SMTP", "ESMTP", "QMTP" ...: RFC 3848, with S for TLS, A for AUTH */
};

/* Append qmail's Received field in two lines, each ended by '\n' (RFC 5321 4.4). Bytes
 * other than letters, digits and . @ % + / = : - [ ] become '?'; at most 255 bytes of
 * each are used.
 * returns  true, or false for lack of memory */
bool received_append(stralloc *out, const struct received *received, int64_t unix_time);

#endif
