#ifndef DNS_H
#define DNS_H

#include <stdint.h>

#include "dns_answer.h"

/* DNS queries through the C library's resolver (res_nquery; /etc/resolv.conf), without
 * search domains, with time limits that hold: truncated answers are asked for again over
 * TCP by our own code, since the C library's TCP waits without limit. */

struct dns;

enum { DNS_TIMEOUT_S = 5, DNS_ATTEMPTS = 2 }; /* upper limits for what resolv.conf says */

/* Make a resolver. returns it, or null with errno */
struct dns *dns_open(void);

/* All queries from now on together may take so many seconds; then they fail at once. */
void dns_set_limit(struct dns *dns, unsigned int seconds);

/* Ask for the records of one type (DNS_TYPE_*). Blocks, within the limits.
 * answer   as dns_answer_parse fills it; authenticated only if resolv.conf has "trust-ad"
 * returns  as dns_answer_parse; a name that cannot exist is DNS_NO_NAME without asking */
enum dns_status dns_query(struct dns *dns, struct dns_answer *answer, const char *name,
                          uint16_t type);

void dns_close(struct dns *dns);

#endif
