#ifndef REMOTE_CONFIG_H
#define REMOTE_CONFIG_H

#include <stdbool.h>

#include <skalibs/stralloc.h>

#include "internet_address.h"
#include "name_map.h"

/* The control files of qmail-remote, read once. */
struct remote_config {
    stralloc me;
    stralloc helohost;
    struct name_map routes;            /* control/smtproutes */
    struct internet_address_set own;   /* what is this host */
    struct internet_address from;      /* control/outgoingip; AF_UNSPEC: any */
    struct internet_address from_ipv6; /* its second address, likewise */
    unsigned int connect_s;            /* control/timeoutconnect */
    unsigned int io_s;                 /* control/timeoutremote */
};

/* Read them; the current directory is the home. *config is all zero before.
 * returns  true, or false with errno (ENOENT: there is no control/me) */
bool remote_config_read(struct remote_config *config);

void remote_config_free(struct remote_config *config);

#endif
