#ifndef LOCAL_IP_H
#define LOCAL_IP_H

#include <stdbool.h>

/* Is this address literal, "[192.0.2.1]" or "[IPv6:2001:db8::1]" (RFC 5321 4.1.3), an address of
 * this machine? Asks the kernel for its interfaces. returns false also when that fails */
bool local_ip_is_literal(const char *literal);

#endif
