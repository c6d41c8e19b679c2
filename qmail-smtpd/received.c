#include "received.h"

#include <string.h>

#include "text.h"

enum { PIECE_MAX = 255 }; /* keeps the line below 998 bytes, RFC 5322 2.1.1 */

static bool
is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr(".@%+/=:-[]", c));
}

static bool
append_plain(stralloc *out, const char *foreign)
{
    size_t len = strnlen(foreign, PIECE_MAX);
    if (!text_append_bytes(out, foreign, len))
        return false;
    for (char *p = out->s + out->len - len; *p; p++)
        if (!is_plain(*p))
            *p = '?';
    return true;
}

static bool
append_client(stralloc *out, const struct received *received)
{
    const char *helo = received->helo;
    if (!text_append(out, "Received: from ") || !append_plain(out, received->remote_host))
        return false;
    if (helo && !text_equal_nocase(helo, received->remote_host))
        if (!text_append(out, " (HELO ") || !append_plain(out, helo) ||
            !text_append(out, ")"))
            return false;
    if (!text_append(out, " ("))
        return false;
    if (received->remote_info)
        if (!append_plain(out, received->remote_info) || !text_append(out, "@"))
            return false;
    return append_plain(out, received->remote_ip) && text_append(out, ")\n");
}

bool
received_append(stralloc *out, const struct received *received, int64_t unix_time)
{
    return append_client(out, received) && text_append(out, "  by ") &&
           append_plain(out, received->local) && text_append(out, " with ") &&
           append_plain(out, received->protocol) && text_append(out, "; ") &&
           text_append_date(out, unix_time) && text_append(out, "\n");
}
