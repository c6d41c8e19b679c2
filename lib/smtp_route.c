#include "smtp_route.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <arpa/inet.h>

#include <skalibs/types.h>

#include "text.h"

/* Where does the relay end and ":port" (or the end) begin? "[v6]:port" keeps its colons,
 * and so does a value that is an IPv6 address as a whole. */
static size_t
relay_length(const char *value)
{
    struct in6_addr ignored;
    if (value[0] == '[') {
        const char *end = strchr(value, ']');
        return end ? (size_t)(end - value) + 1 : strlen(value);
    }
    if (inet_pton(AF_INET6, value, &ignored) == 1)
        return strlen(value);
    return strcspn(value, ":");
}

static bool
parse_port(const char *text, uint16_t *port)
{
    unsigned int number;
    if (text[0] == '\0')
        return true;
    if (text[0] != ':' || !uint0_scan(text + 1, &number) || number < 1 || number > 65535)
        return false;
    *port = (uint16_t)number;
    return true;
}

static bool
copy_relay(stralloc *relay, const char *value, size_t len)
{
    bool bare_ipv6 = value[0] != '[' && memchr(value, ':', len);
    if (!text_copy(relay, bare_ipv6 ? "[" : "") ||
        !text_append_bytes(relay, value, len) ||
        !text_append(relay, bare_ipv6 ? "]" : ""))
        return false;
    text_lower(relay->s, relay->len);
    return true;
}

enum smtp_route_status
smtp_route_find(const struct name_map *routes, const char *host, stralloc *relay,
                uint16_t *port)
{
    *port = SMTP_ROUTE_PORT;
    if (!text_copy(relay, ""))
        return SMTP_ROUTE_ERROR;
    const char *value = name_map_find_host(routes, host, true);
    if (!value)
        return SMTP_ROUTE_NONE;
    size_t len = relay_length(value);
    if (!parse_port(value + len, port)) {
        errno = EINVAL;
        return SMTP_ROUTE_ERROR;
    }
    if (!len)
        return SMTP_ROUTE_NONE;
    return copy_relay(relay, value, len) ? SMTP_ROUTE_FOUND : SMTP_ROUTE_ERROR;
}
