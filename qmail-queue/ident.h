#ifndef IDENT_H
#define IDENT_H

#include <stdbool.h>

#include <sys/socket.h>

#include <skalibs/stralloc.h>

/* Ask the host at the other end of a TCP connection who runs its side, RFC 1413.
 * info       replaced: the user name it tells, without control bytes, at most 512 bytes
 * local, remote   the two ends of the connection, of one family, len bytes each
 * timeout_s  for the whole talk, 1 to 86400
 * returns    true with an answer; false without one, for whatever reason */
bool ident_ask(stralloc *info, const struct sockaddr *local,
               const struct sockaddr *remote, socklen_t len, unsigned int timeout_s);

#endif
