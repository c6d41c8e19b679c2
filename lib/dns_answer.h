#ifndef DNS_ANSWER_H
#define DNS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

/* Reader of DNS answers (RFC 1035 4): trusts no byte of them. */

enum {
    DNS_TYPE_A = 1,
    DNS_TYPE_CNAME = 5,
    DNS_TYPE_MX = 15,
    DNS_TYPE_AAAA = 28,
    DNS_RECORDS_MAX = 100, /* of the type asked for; more are left out */
    DNS_NAME_MAX = 255,    /* octets on the wire, RFC 1035 2.3.4 */
};

enum dns_status {
    DNS_FOUND,
    DNS_NO_NAME,   /* the name does not exist: NXDOMAIN, or a name that cannot exist */
    DNS_NO_DATA,   /* it exists, without records of this type */
    DNS_TEMPORARY, /* no answer, a refusal, or an answer that makes no sense */
};

struct dns_record {
    uint16_t preference; /* MX */
    size_t at;           /* where its data begins in answer->data */
};

/* Start with all zero; reused by the next query; free with dns_answer_free. */
struct dns_answer {
    stralloc data; /* A: 4 bytes; AAAA: 16 bytes; MX: a name as text and '\0' */
    struct dns_record records[DNS_RECORDS_MAX];
    size_t count;
    bool authenticated; /* the resolver that we trust has checked DNSSEC (AD) */
    bool truncated;     /* ask again over TCP */
    bool has_alias; /* DNS_NO_DATA: the name is an alias (CNAME), data its last target */
};

/* Read the records of this type from an answer packet; aliases (CNAME) of the name asked
 * for are followed inside the packet; where the packet ends before the chain does, ask
 * for what has_alias gives. Names are given in small letters, without the last dot;
 * a byte that is no letter, digit, '-' or '_' is given as \DDD; the root is "".
 * answer   replaced; empty unless DNS_FOUND; the flags are set if the header is readable
 * returns  DNS_FOUND with 1..DNS_RECORDS_MAX records, or why not; DNS_TEMPORARY for
 *          lack of memory, too */
enum dns_status dns_answer_parse(struct dns_answer *answer, const unsigned char *packet,
                                 size_t len, uint16_t type);

/* Can this text be asked for at all: labels of 1..63 bytes, together at most 253
 * (RFC 1035 2.3.4), a last dot allowed, no backslash? */
bool dns_name_is_possible(const char *name);

void dns_answer_free(struct dns_answer *answer);

#endif
