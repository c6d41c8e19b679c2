#ifndef DIAL_H
#define DIAL_H

#include <stdint.h>

#include <skalibs/stralloc.h>

#include "dns.h"
#include "remote_config.h"
#include "smtp_client.h"

/* From a host to a greeted connection. */

struct dial {
    const struct remote_config *config;
    struct dns *dns;
    const char *host;  /* of the recipients */
    const char *relay; /* control/smtproutes; "" to use MX records */
    uint16_t port;
};

enum dial_status { DIAL_CONNECTED, DIAL_TEMPORARY, DIAL_PERMANENT, DIAL_NO_MEMORY };

/* Find the servers of host and connect to the first that answers and greets; a refused
 * greeting, 4yz or 5yz, means the next one (RFC 5321 5.1: a server that cannot take
 * mail is no word on the mail). When none is left: temporary, since a 5yz greeting
 * speaks of us or of the hour and not of a mailbox; but permanent when all said 521,
 * "takes no mail" (RFC 7504).
 * client   fd is -1 before; connected afterwards if DIAL_CONNECTED
 * text     replaced: the report otherwise */
enum dial_status dial_host(struct smtp_client *client, const struct dial *dial,
                           stralloc *text);

#endif
