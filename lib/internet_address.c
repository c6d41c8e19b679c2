#include "internet_address.h"

#include <ifaddrs.h>
#include <string.h>
#include <strings.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "control.h"
#include "text.h"

enum { LITERAL_MAX = 64, IPV4_LEN = 4, IPV6_LEN = 16 };

/* An IPv4 address inside IPv6 (::ffff:192.0.2.1) is that IPv4 address: the same host. */
static void
unmap(struct internet_address *address)
{
    static const unsigned char prefix[12] = {[10] = 0xff, [11] = 0xff};
    if (address->family != AF_INET6 || memcmp(address->bytes, prefix, sizeof prefix) != 0)
        return;
    memmove(address->bytes, address->bytes + sizeof prefix, IPV4_LEN);
    memset(address->bytes + IPV4_LEN, 0, IPV6_LEN - IPV4_LEN);
    address->family = AF_INET;
}

bool
internet_address_scan(struct internet_address *address, const char *text)
{
    char bare[LITERAL_MAX];
    size_t len = strlen(text);

    memset(address, 0, sizeof *address);
    if (len && text[0] == '[') {
        if (text[len - 1] != ']')
            return false;
        text++;
        len -= 2;
        if (len > 5 && strncasecmp(text, "IPv6:", 5) == 0) {
            text += 5;
            len -= 5;
        }
    }
    if (len >= sizeof bare)
        return false;
    memcpy(bare, text, len);
    bare[len] = '\0';
    if (inet_pton(AF_INET, bare, address->bytes) == 1) {
        address->family = AF_INET;
        return true;
    }
    if (inet_pton(AF_INET6, bare, address->bytes) != 1)
        return false;
    address->family = AF_INET6;
    unmap(address);
    return true;
}

bool
internet_address_format(stralloc *out, const struct internet_address *address)
{
    char text[INET6_ADDRSTRLEN];
    if (!inet_ntop(address->family, address->bytes, text, sizeof text))
        return false;
    return text_copy(out, text);
}

bool
internet_address_equal(const struct internet_address *a, const struct internet_address *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

socklen_t
internet_address_to_socket(struct sockaddr_storage *out,
                           const struct internet_address *address, uint16_t port)
{
    memset(out, 0, sizeof *out);
    if (address->family == AF_INET) {
        struct sockaddr_in *four = (struct sockaddr_in *)out;
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        memcpy(&four->sin_addr, address->bytes, IPV4_LEN);
        return sizeof *four;
    }
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    memcpy(&six->sin6_addr, address->bytes, IPV6_LEN);
    return sizeof *six;
}

static void
add(struct internet_address_set *set, struct internet_address address)
{
    unmap(&address);
    if (set->count < INTERNET_ADDRESS_SET_MAX && !internet_address_is_in(set, &address))
        set->addresses[set->count++] = address;
}

static void
add_interface(struct internet_address_set *set, const struct sockaddr *socket_address)
{
    struct internet_address address = {.family = AF_UNSPEC};
    if (!socket_address)
        return;
    address.family = socket_address->sa_family;
    if (address.family == AF_INET)
        memcpy(address.bytes, &((const struct sockaddr_in *)socket_address)->sin_addr,
               IPV4_LEN);
    else if (address.family == AF_INET6)
        memcpy(address.bytes, &((const struct sockaddr_in6 *)socket_address)->sin6_addr,
               IPV6_LEN);
    else
        return;
    add(set, address);
}

static void
discard(struct internet_address_set *set, const struct internet_address *address)
{
    for (size_t i = 0; i < set->count; i++)
        if (internet_address_equal(&set->addresses[i], address))
            set->addresses[i] = set->addresses[--set->count];
}

/* Apply a control list of addresses; a line that is none is passed over. */
static bool
apply_list(struct internet_address_set *set, const char *path, bool is_ours)
{
    stralloc list = STRALLOC_ZERO;
    struct internet_address address;

    bool ok = control_read_list(&list, path) != CONTROL_ERROR;
    for (size_t at = 0; ok && at < list.len; at += strlen(list.s + at) + 1) {
        if (!internet_address_scan(&address, list.s + at))
            continue;
        if (is_ours)
            add(set, address);
        else
            discard(set, &address);
    }
    stralloc_free(&list);
    return ok;
}

bool
internet_address_load_own(struct internet_address_set *own)
{
    struct ifaddrs *interfaces;

    own->count = 0;
    add(own, (struct internet_address){.family = AF_INET});
    add(own, (struct internet_address){.family = AF_INET6});
    if (getifaddrs(&interfaces) < 0)
        return false;
    for (const struct ifaddrs *at = interfaces; at; at = at->ifa_next)
        add_interface(own, at->ifa_addr);
    freeifaddrs(interfaces);
    return apply_list(own, "control/moreipme", true) &&
           apply_list(own, "control/notipme", false);
}

bool
internet_address_is_in(const struct internet_address_set *set,
                       const struct internet_address *address)
{
    for (size_t i = 0; i < set->count; i++)
        if (internet_address_equal(&set->addresses[i], address))
            return true;
    return false;
}
