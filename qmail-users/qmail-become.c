/* qmail-become: run a program as the account of a role.
 *
 * usage   qmail-become [-e] role program [argument ...]
 *         -e  change nothing, only put the account's numbers into UID and GID
 * env     QMAILHOME: the home, where control/accounts is; the current directory stays
 *         UID, GID: set with -e; removed in single-user mode, where nothing changes
 * files   control/accounts: lines "role:name" for accounts with another name
 * exit    that of program; 100 bad usage; 111 no such account, or cannot change to it
 */

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/djbunix.h>
#include <skalibs/exec.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "account.h"
#include "die.h"
#include "home.h"

static void
find(struct account *account, const char *role)
{
    int here = openc_read(".");
    if (here < 0)
        die_temp("open", "the current directory");
    if (!home_enter())
        die_temp("enter", home_path());
    if (!account_find(account, role))
        die_temp("find the account of", role);
    if (fchdir(here) != 0)
        die_temp("return to", "the current directory");
    fd_close(here);
}

static bool
export_ids(const struct account *account)
{
    char uid[UID_FMT];
    char gid[GID_FMT];

    if (account_is_single_user())
        return unsetenv("UID") == 0 && unsetenv("GID") == 0;
    uid[uid_fmt(uid, account->uid)] = '\0';
    gid[gid_fmt(gid, account->gid)] = '\0';
    return setenv("UID", uid, 1) == 0 && setenv("GID", gid, 1) == 0;
}

int
main(int argc, const char *const *argv)
{
    PROG = "qmail-become";
    bool only_export = argc > 1 && strcmp(argv[1], "-e") == 0;
    int role = only_export ? 2 : 1;
    struct account account;

    if (argc < role + 2 || argv[role][0] == '-')
        die_usage("qmail-become [-e] role program [argument ...]");
    find(&account, argv[role]);
    if (!(only_export ? export_ids(&account) : account_become(&account)))
        die_temp("become", argv[role]);
    exec(argv + role + 1);
    die_temp("run", argv[role + 1]);
}
