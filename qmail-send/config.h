#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "name_map.h"

/* What qmail-send reads from control/, at start and on SIGHUP. */

struct config {
    struct name_map locals;
    struct name_map percenthack;
    struct name_map virtualdomains; /* key: prepend */
    struct name_map smtproutes;     /* for lib/smtp_route */
    stralloc envnoathost;
    stralloc bouncefrom;
    stralloc bouncehost;
    stralloc doublebounceto; /* empty: double bounces are thrown away */
    stralloc doublebouncehost;
    uint64_t bouncemaxbytes; /* of the original message in a bounce; 0: all */
    uint64_t concurrencylocal;
    uint64_t concurrencyremote;
    uint64_t concurrencydestination; /* jobs at one remote destination */
    uint64_t maxremoterecipients;    /* of one message in one job */
    uint64_t queuelifetime_s;
};

enum {
    CONFIG_CONCURRENCY_MAX = 100000,
    CONFIG_RECIPIENTS_MAX = 100, /* what a spawner takes in one job */
};

/* Read all files into *config, replacing what it held. Start with all zero.
 * bad_file  set to the path that could not be read or has no sense
 * returns   true; or false with errno: *config is as it was before */
bool config_read(struct config *config, const char **bad_file);

void config_free(struct config *config);

#endif
