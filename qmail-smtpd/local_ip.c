#include "local_ip.h"

#include <ifaddrs.h>
#include <string.h>
#include <strings.h>

#include <arpa/inet.h>
#include <netinet/in.h>

/* One address in binary; 4 or 16 bytes. */
struct binary {
    int family;
    unsigned char bytes[16];
};

static bool
parse_literal(struct binary *binary, const char *literal)
{
    char text[INET6_ADDRSTRLEN];
    bool is_ip6 = strncasecmp(literal, "[IPv6:", 6) == 0;
    const char *start = literal + (is_ip6 ? 6 : 1);
    size_t len = strcspn(start, "]");

    if (*literal != '[' || len >= sizeof text)
        return false;
    memcpy(text, start, len);
    text[len] = '\0';
    binary->family = is_ip6 ? AF_INET6 : AF_INET;
    return inet_pton(binary->family, text, binary->bytes) == 1;
}

static bool
is_equal(const struct binary *binary, const struct sockaddr *interface)
{
    struct sockaddr_in ip4;
    struct sockaddr_in6 ip6;
    if (!interface || interface->sa_family != binary->family)
        return false;
    if (binary->family == AF_INET) {
        memcpy(&ip4, interface, sizeof ip4);
        return memcmp(&ip4.sin_addr, binary->bytes, 4) == 0;
    }
    memcpy(&ip6, interface, sizeof ip6);
    return memcmp(&ip6.sin6_addr, binary->bytes, 16) == 0;
}

bool
local_ip_is_literal(const char *literal)
{
    struct binary binary;
    struct ifaddrs *interfaces;
    bool is_local = false;

    if (!parse_literal(&binary, literal) || getifaddrs(&interfaces) < 0)
        return false;
    for (struct ifaddrs *i = interfaces; i && !is_local; i = i->ifa_next)
        is_local = is_equal(&binary, i->ifa_addr);
    freeifaddrs(interfaces);
    return is_local;
}
