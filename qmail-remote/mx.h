#ifndef MX_H
#define MX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns_answer.h"
#include "internet_address.h"

/* Who takes mail for a host, in the order in which to try: RFC 5321 5.1. */

enum {
    MX_TARGETS_MAX = 32,
    MX_TARGETS_ENOUGH = 16, /* then no further exchanger is looked up */
};

struct mx_target {
    struct internet_address address;
    uint16_t preference;
};

struct mx_list {
    struct mx_target targets[MX_TARGETS_MAX];
    size_t count;
};

enum mx_status {
    MX_FOUND,      /* at least one target */
    MX_NO_NAME,    /* the host does not exist */
    MX_NO_ADDRESS, /* it exists, but nothing leads to an address */
    MX_NULL,       /* it says that it takes no mail, RFC 7505 */
    MX_LOOP,       /* this host itself is the best that is left */
    MX_TEMPORARY,  /* DNS trouble */
};

/* Where mx_find gets its facts. */
struct mx_source {
    enum dns_status (*query)(void *context, struct dns_answer *answer, const char *name,
                             uint16_t type);
    uint32_t (*random)(void *context);
    void *context;                          /* for the two */
    const struct internet_address_set *own; /* null: do not look for loops */
    const char *me;                         /* control/me, "" when unknown */
};

/* Find the targets of the MX records of host; without any, of host itself; for an address
 * literal, that address. By preference, equal ones shuffled, each host's IPv4 addresses
 * before its IPv6 ones (over IPv6 large providers refuse for good what has no reverse
 * name). A name that does not exist, or has no address, is passed over. An MX that is
 * this host is cut off with all that are not better. */
enum mx_status mx_find(struct mx_list *list, const struct mx_source *source,
                       const char *host);

/* The same for a relay: its own addresses, no MX records, no search for loops. */
enum mx_status mx_find_relay(struct mx_list *list, const struct mx_source *source,
                             const char *relay);

#endif
