#ifndef SMTP_ROUTE_H
#define SMTP_ROUTE_H

#include <stdint.h>

#include <skalibs/stralloc.h>

#include "name_map.h"

/* control/smtproutes: lines "domain:relay" or "domain:relay:port". The domain is compared
 * whole, then each suffix that begins with a dot, then the empty key (":relay" is the way
 * for all that no other line names). An empty relay means: use MX records. */

enum { SMTP_ROUTE_PORT = 25 };

enum smtp_route_status {
    SMTP_ROUTE_ERROR, /* errno: ENOMEM, or EINVAL for a line that makes no sense */
    SMTP_ROUTE_NONE,  /* no line, or one with an empty relay: ask for MX records */
    SMTP_ROUTE_FOUND,
};

/* Find the way for host.
 * routes   name_map_build(..., ':') over control_read_list("control/smtproutes")
 * relay    replaced: a lower-case name, or an address in brackets ("[192.0.2.1]",
 *          "[::1]"; an IPv6 address without them gets them);
 *          empty unless SMTP_ROUTE_FOUND
 * port     replaced: as the line says ("domain::26" keeps MX, changes the port), else 25
 */
enum smtp_route_status smtp_route_find(const struct name_map *routes, const char *host,
                                       stralloc *relay, uint16_t *port);

#endif
