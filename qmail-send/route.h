#ifndef ROUTE_H
#define ROUTE_H

#include <stdbool.h>

#include <skalibs/stralloc.h>

#include "config.h"

/* Where a recipient goes. Computed whenever a delivery is tried, so that a change in
 * control/ also holds for mail that is already queued. */

/* The strallocs are replaced by each call and keep their memory. Start with all zero. */
struct route {
    bool is_local;
    stralloc address; /* envnoathost and percenthack applied, prepend put before it */
    size_t
        prepend_len; /* bytes of address that are "prepend-" of control/virtualdomains */
    stralloc host;   /* remote: the domain in small letters; local: "" */
    stralloc
        destination; /* remote: "relay:port" of control/smtproutes, else the host; local:
                             the user before "-" or "@", in small letters, for fairness */
};

/* Find the way of recipient, an envelope address. returns true, or false with errno */
bool route_find(struct route *route, const struct config *config, const char *recipient);

/* Replace *out by the sender with which a message from `sender` goes to this recipient:
 * if it ends with "-@[]", prefix-@host-@[] becomes prefix-box=domain@host;
 * else it is copied.
 * address  the recipient without prepend. returns true, or false for lack of memory */
bool route_expand_sender(stralloc *out, const char *sender, const char *address);

/* Does sender ask for one sender per recipient: does it end with "-@[]"? */
bool route_is_verp(const char *sender);

void route_free(struct route *route);

#endif
