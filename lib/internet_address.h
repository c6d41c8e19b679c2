#ifndef INTERNET_ADDRESS_H
#define INTERNET_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/socket.h>

#include <skalibs/stralloc.h>

/* An IPv4 or IPv6 address, and the set of those that are this host. */

enum { INTERNET_ADDRESS_SET_MAX = 256 };

struct internet_address {
    int family;              /* AF_INET or AF_INET6 */
    unsigned char bytes[16]; /* IPv4: the first four, the rest zero */
};

struct internet_address_set {
    struct internet_address addresses[INTERNET_ADDRESS_SET_MAX];
    size_t count;
};

/* Read an address, bare or as a literal: "192.0.2.1", "[192.0.2.1]", "2001:db8::1",
 * "[2001:db8::1]", "[IPv6:2001:db8::1]" (RFC 5321 4.1.3).
 * returns false when it is none */
bool internet_address_scan(struct internet_address *address, const char *text);

/* Write it without brackets. returns true, or false for lack of memory */
bool internet_address_format(stralloc *out, const struct internet_address *address);

bool internet_address_equal(const struct internet_address *a,
                            const struct internet_address *b);

/* Fill in a socket address. returns its length */
socklen_t internet_address_to_socket(struct sockaddr_storage *out,
                                     const struct internet_address *address,
                                     uint16_t port);

/* Collect what is this host: the interfaces' addresses, 0.0.0.0, ::, and the lines
 * of control/moreipme, without those of control/notipme. returns true,
 * or false with errno */
bool internet_address_load_own(struct internet_address_set *own);

bool internet_address_is_in(const struct internet_address_set *set,
                            const struct internet_address *address);

#endif
