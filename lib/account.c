#include "account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "name_map.h"

bool
account_is_single_user(void)
{
    return geteuid() != 0;
}

/* Put the account name of role into *name. */
static bool
name_of_role(stralloc *name, const char *role)
{
    stralloc list = STRALLOC_ZERO;
    struct name_map names = {0};

    bool ok = control_read_list(&list, "control/accounts") != CONTROL_ERROR &&
              name_map_build(&names, &list, ':');
    if (ok) {
        const char *chosen = name_map_find(&names, role, strlen(role));
        ok = stralloc_copys(name, chosen ? chosen : role) && stralloc_0(name);
    }
    name_map_free(&names);
    stralloc_free(&list);
    return ok;
}

bool
account_lookup(struct account *account, const char *role)
{
    stralloc name = STRALLOC_ZERO;

    if (!name_of_role(&name, role))
        return false;
    errno = 0;
    const struct passwd *entry = getpwnam(name.s);
    stralloc_free(&name);
    if (!entry) {
        if (!errno)
            errno = ENOENT;
        return false;
    }
    *account = (struct account){.uid = entry->pw_uid, .gid = entry->pw_gid};
    return true;
}

bool
account_find(struct account *account, const char *role)
{
    if (!account_is_single_user())
        return account_lookup(account, role);
    *account = (struct account){.uid = geteuid(), .gid = getegid()};
    return true;
}

bool
account_become(const struct account *account)
{
    if (account_is_single_user())
        return true;
    if (account->uid == 0) {
        errno = EPERM;
        return false;
    }
    return setgroups(1, &account->gid) == 0 && setgid(account->gid) == 0 &&
           setuid(account->uid) == 0;
}
