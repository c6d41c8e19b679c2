#ifndef CONNECT_H
#define CONNECT_H

#include <stdint.h>

#include "internet_address.h"

/* Connect to address and port; close-on-exec, TCP_NODELAY. Blocks at most timeout_s.
 * from     the local address to use (control/outgoingip), or null; it is left aside
 *          when the families differ
 * io_s     later, each read and write on the socket ends after so many seconds (EAGAIN)
 * returns  the descriptor, or -1 with errno (ETIMEDOUT, ECONNREFUSED, ENETUNREACH ...) */
int connect_to(const struct internet_address *address, uint16_t port,
               const struct internet_address *from, unsigned int timeout_s,
               unsigned int io_s);

#endif
