#ifndef ADDRESS_H
#define ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include <skalibs/stralloc.h>

/* Mail addresses. Inside, an address is raw, as in qmail's envelope: no quotes, no
 * backslashes; what follows the last '@' is the domain. Quotes exist only in SMTP and in
 * header fields. */

enum { ADDRESS_MAX = 900 }; /* bytes of one raw address from the network, as in qmail */

enum address_status {
    ADDRESS_OK,
    ADDRESS_BAD,       /* not in the form of RFC 5321 4.1.2 */
    ADDRESS_NOT_ASCII, /* holds bytes above 127: RFC 6531 3.5 */
    ADDRESS_TOO_LONG,
    ADDRESS_NO_MEMORY,
};

/* Parse the path behind "MAIL FROM:" or "RCPT TO:". RFC 5321 4.1.2, and as lenient as
 * qmail: blanks before it, no angle brackets, dots anywhere in the local part, '_' in a
 * domain, and an address without a domain are accepted. A source route is skipped, quotes
 * are removed.
 * raw      replaced; empty for "<>"
 * text     the rest of the command line, '\0' at its end
 * rest     set to what follows the path: "" or a text that begins with a blank
 * returns  ADDRESS_OK, or what is wrong: *raw and *rest are undefined then */
enum address_status address_parse_path(stralloc *raw, const char *text,
                                       const char **rest);

/* The domain of a raw address: what follows its last '@'. returns null when there is
 * none */
const char *address_domain(const char *raw);

/* Append a raw address as SMTP and header fields want it: the local part is quoted where
 * RFC 5321 4.1.2 demands it. Safe to print: control bytes, and in a domain also blanks
 * and angle brackets, become '?'. "" stays "".
 * returns  true, or false for lack of memory */
bool address_append_quoted(stralloc *out, const char *raw);

#endif
