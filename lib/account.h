#ifndef ACCOUNT_H
#define ACCOUNT_H

#include <stdbool.h>

#include <sys/types.h>

/* The system accounts: qmaild, qmailq, qmailr, qmailp, qmaill, alias. A line
 * "role:name" in control/accounts gives a role another account name.
 *
 * Single-user mode: where geteuid() is not 0, every role is the user who started us. */

struct account {
    uid_t uid;
    gid_t gid;
};

/* Is this process unable to change its identity (not root)? */
bool account_is_single_user(void);

/* Find the account of role; the current directory is the home.
 * returns  true, or false with errno (ENOENT: no such account) */
bool account_find(struct account *account, const char *role);

/* The same by name alone, whoever we are: for a daemon that has already left root and
 * needs to know another role's uid. ENOENT is what it gets in single-user mode. */
bool account_lookup(struct account *account, const char *role);

/* Give up root for good: groups cleared to gid, gid, uid; refuses uid 0 with EPERM.
 * Does nothing in single-user mode. returns true, or false with errno: then exit. */
bool account_become(const struct account *account);

#endif
