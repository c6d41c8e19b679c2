#ifndef SMTP_DECODE_H
#define SMTP_DECODE_H

#include <stdbool.h>
#include <stddef.h>

/* The message as it travels after DATA (RFC 5321 4.5.2), turned into our form: LF line
 * ends, no stuffed dots. Works in place, a block at a time. */

enum { SMTP_DECODE_PREFIX_MAX = 13 }; /* bytes of "Delivered-To:" */

struct smtp_decode {
    bool is_line_start;
    bool has_bare; /* a CR without LF or an LF without CR was seen */
    bool in_header;
    unsigned int hops; /* Received: and Delivered-To: fields, RFC 5321 6.3 */
    char prefix[SMTP_DECODE_PREFIX_MAX]; /* private: how the current header line begins */
    size_t prefix_len;
};

void smtp_decode_start(struct smtp_decode *decode);

/* Decode bytes[0..len), in place. Only CRLF.CRLF ends a message, has_bare or not.
 * used     set to the bytes taken; what is left (at most 2 bytes unless the end was
 *          found) must come again at the front of the next block
 * out_len  set to the decoded bytes, which lie at bytes[0..out_len); out_len <= used
 * returns  true at the end of the message: bytes[used] begins the next command */
bool smtp_decode_block(struct smtp_decode *decode, char *bytes, size_t len, size_t *used,
                       size_t *out_len);

#endif
