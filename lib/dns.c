/* DNS through the resolver of the C library.
 *
 * libc    glibc
 */
#include "dns.h"

#include <errno.h>
#include <netdb.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/nameser.h>

#include "clock.h"
#include "dns_tcp.h"

enum {
    ANSWER_MAX = 65535,
    QUERY_ROOM = 512,
    ALIASES_MAX = 8,
    FLAG_TRUNCATED = 0x02, /* third byte of a packet, RFC 1035 4.1.1 */
};

struct dns {
    struct __res_state state;
    int64_t deadline_ms; /* CLOCK_MONOTONIC */
    unsigned char packet[ANSWER_MAX];
};

struct dns *
dns_open(void)
{
    struct dns *dns = calloc(1, sizeof *dns);
    if (!dns)
        return NULL;
    if (res_ninit(&dns->state) < 0) {
        free(dns);
        return NULL;
    }
    dns->state.options |= RES_IGNTC; /* see dns.h: TCP is ours */
    dns->state.options &= ~(unsigned long)(RES_DNSRCH | RES_DEFNAMES | RES_USEVC);
    if (dns->state.retrans > DNS_TIMEOUT_S)
        dns->state.retrans = DNS_TIMEOUT_S;
    if (dns->state.retry > DNS_ATTEMPTS)
        dns->state.retry = DNS_ATTEMPTS;
    dns_set_limit(dns, 60);
    return dns;
}

void
dns_set_limit(struct dns *dns, unsigned int seconds)
{
    dns->deadline_ms = clock_monotonic_ms() + (int64_t)seconds * 1000;
}

static const struct sockaddr *
server_address(const struct dns *dns, int index)
{
    /* glibc keeps IPv6 servers beside the IPv4 list, whose entry then has no family */
    if (dns->state.nsaddr_list[index].sin_family == AF_INET)
        return (const struct sockaddr *)&dns->state.nsaddr_list[index];
    return (const struct sockaddr *)dns->state._u._ext.nsaddrs[index];
}

/* Ask each server over TCP until one gives an answer. */
static enum dns_status
query_tcp(struct dns *dns, struct dns_answer *answer, const char *name, uint16_t type)
{
    unsigned char query[QUERY_ROOM];
    enum dns_status status = DNS_TEMPORARY;

    int len = res_nmkquery(&dns->state, QUERY, name, C_IN, type, NULL, 0, NULL, query,
                           sizeof query);
    for (int i = 0; len > 0 && i < dns->state.nscount; i++) {
        const struct sockaddr *server = server_address(dns, i);
        int64_t limit_ms =
            clock_monotonic_ms() + (int64_t)DNS_TIMEOUT_S * DNS_ATTEMPTS * 1000;
        if (limit_ms > dns->deadline_ms)
            limit_ms = dns->deadline_ms;
        if (!server)
            continue;
        ssize_t got = dns_tcp_exchange(server, query, (size_t)len, dns->packet,
                                       sizeof dns->packet, limit_ms);
        if (got > 0)
            status = dns_answer_parse(answer, dns->packet, (size_t)got, type);
        if (got > 0 && status != DNS_TEMPORARY)
            break;
    }
    if (!(dns->state.options & RES_TRUSTAD))
        answer->authenticated = false;
    return status;
}

static enum dns_status
query_once(struct dns *dns, struct dns_answer *answer, const char *name, uint16_t type)
{
    answer->data.len = answer->count = 0;
    answer->authenticated = answer->truncated = answer->has_alias = false;
    if (!dns_name_is_possible(name))
        return DNS_NO_NAME;
    if (clock_monotonic_ms() >= dns->deadline_ms)
        return DNS_TEMPORARY;
    int len = res_nquery(&dns->state, name, C_IN, type, dns->packet, sizeof dns->packet);
    if (len < 0) {
        switch (dns->state.res_h_errno) {
        case HOST_NOT_FOUND:
            return DNS_NO_NAME;
        case NO_DATA:
            /* an answer cut down to nothing looks the same: the packet tells */
            if (!(dns->packet[2] & FLAG_TRUNCATED))
                return DNS_NO_DATA;
            return query_tcp(dns, answer, name, type);
        default:
            return DNS_TEMPORARY;
        }
    }
    if ((size_t)len > sizeof dns->packet)
        return DNS_TEMPORARY;
    enum dns_status status = dns_answer_parse(answer, dns->packet, (size_t)len, type);
    if (answer->truncated)
        return query_tcp(dns, answer, name, type);
    return status;
}

enum dns_status
dns_query(struct dns *dns, struct dns_answer *answer, const char *name, uint16_t type)
{
    stralloc alias = STRALLOC_ZERO;
    bool all_authenticated = true;

    enum dns_status status = query_once(dns, answer, name, type);
    /* some resolvers give the alias and leave it to us to go on */
    for (unsigned int i = 0;
         status == DNS_NO_DATA && answer->has_alias && i < ALIASES_MAX; i++) {
        all_authenticated = all_authenticated && answer->authenticated;
        if (alias.len && strcmp(alias.s, answer->data.s) == 0)
            break; /* it exists, and has no such records */
        if (!stralloc_copy(&alias, &answer->data)) {
            status = DNS_TEMPORARY;
            break;
        }
        status = query_once(dns, answer, alias.s, type);
    }
    answer->authenticated = answer->authenticated && all_authenticated;
    stralloc_free(&alias);
    return status;
}

void
dns_close(struct dns *dns)
{
    if (!dns)
        return;
    res_nclose(&dns->state);
    free(dns);
}
