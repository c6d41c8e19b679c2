#ifndef DNS_TCP_H
#define DNS_TCP_H

#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

struct sockaddr;

/* One DNS query over TCP (RFC 7766): send query, read its answer.
 * deadline_ms  of clock_monotonic_ms
 * returns      length of the answer (<= room); -1 with errno (ETIMEDOUT, EPROTO ...) */
ssize_t dns_tcp_exchange(const struct sockaddr *server, const unsigned char *query,
                         size_t query_len, unsigned char *answer, size_t room,
                         int64_t deadline_ms);

#endif
