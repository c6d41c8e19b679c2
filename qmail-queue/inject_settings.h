#ifndef INJECT_SETTINGS_H
#define INJECT_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "mailbox.h"

/* What environment and control/ tell qmail-inject, and how they complete an address. */

enum inject_host {
    INJECT_DEFAULT_HOST,   /* for an address without host */
    INJECT_DEFAULT_DOMAIN, /* for a host without dot */
    INJECT_PLUS_DOMAIN,    /* for a host that ends in '+' */
    INJECT_ID_HOST,        /* for Message-ID */
    INJECT_HOSTS,
};

struct inject_settings {
    const char *user;             /* of From: */
    const char *host;             /* null: none given */
    const char *full_name;        /* null: none given */
    const char *sender_user;      /* of the envelope sender */
    const char *sender_host;      /* null: none given */
    bool comment_style;           /* QMAILINJECT c: From: address (name) */
    bool ignores_return_path;     /* s */
    bool drops_from;              /* f */
    bool drops_message_id;        /* i */
    bool verp_recipient;          /* r */
    bool verp_message;            /* m */
    stralloc list_addresses;      /* QMAILMFTFILE, as control_read_list makes it */
    int64_t now;                  /* Unix time of this message */
    stralloc hosts[INJECT_HOSTS]; /* private: read when first needed */
    bool has_host[INJECT_HOSTS];
};

/* Read the environment, and the file that QMAILMFTFILE names: the current directory must
 * still be the caller's. *settings is all zero before.
 * returns  true, or false with errno (that file cannot be read, or no memory) */
bool inject_settings_read(struct inject_settings *settings);

/* One of the hosts: from its variable, else its control file, else control/me, else the
 * literal word. The current directory is the home.
 * returns  it, possibly empty, or null with errno */
const stralloc *inject_settings_host(struct inject_settings *settings,
                                     enum inject_host which);

/* Complete an address as qmail-header(5) says. The empty address and literals stay.
 * returns  true, or false with errno (a control file, or no memory) */
bool inject_qualify(struct inject_settings *settings, struct mailbox *mailbox);

/* Make a raw envelope address of a command line argument, completed. An empty argument
 * stays empty. out is replaced.
 * returns  true; false with errno: EINVAL, cannot be an address; or as inject_qualify */
bool inject_argument(struct inject_settings *settings, stralloc *out,
                     const char *argument);

/* The user's own address, completed; what the environment says must not start a new line:
 * CR and LF become '_'. *mailbox is replaced. returns as inject_qualify */
bool inject_own_address(struct inject_settings *settings, struct mailbox *mailbox,
                        const char *user, const char *host);

/* The envelope sender for a message that names none, by letters m and r. out: replaced.
 * returns  as inject_qualify */
bool inject_default_sender(struct inject_settings *settings, stralloc *out);

#endif
