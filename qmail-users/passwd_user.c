/* passwd_user: see passwd_user.h.
 *
 * libc    glibc: accounts come from wherever nsswitch.conf(5) says
 */

#include "passwd_user.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "account.h"
#include "passwd_sources.h"
#include "text.h"

enum { NAME_MAX_BYTES = 31 };

enum found { FOUND_ERROR, FOUND_NOBODY, FOUND_USER };

static bool
append_user(stralloc *answer, const char *name, uid_t uid, gid_t gid, const char *home)
{
    return text_append_string(answer, name) && text_append_number_string(answer, uid) &&
           text_append_number_string(answer, gid) && text_append_string(answer, home);
}

/* Does the home exist, and belong to its user? */
static enum found
check_home(const struct passwd *entry)
{
    struct stat status;
    if (stat(entry->pw_dir, &status) == 0)
        return status.st_uid == entry->pw_uid ? FOUND_USER : FOUND_NOBODY;
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
        return FOUND_NOBODY;
    default: /* a network file system, a wrong mode of /home: mail can wait for that */
        return FOUND_ERROR;
    }
}

/* Look for the account `name`; *entry is static memory of the C library. */
static enum found
find_account(const char *name, const struct passwd **entry)
{
    *entry = passwd_sources_find(name);
    if (!*entry)
        return errno ? FOUND_ERROR : FOUND_NOBODY;
    if ((*entry)->pw_uid == 0 || strcmp((*entry)->pw_name, name) != 0)
        return FOUND_NOBODY;
    return check_home(*entry);
}

/* Is this one of the systems that an ordinary user runs? Not if we are qmailp. */
static bool
is_single_user(void)
{
    struct account own;
    return account_is_single_user() &&
           !(account_lookup(&own, "qmailp") && own.uid == geteuid());
}

/* Everything that is nobody's. */
static bool
append_alias(stralloc *answer, const char *local)
{
    struct account alias;
    bool ok = account_lookup(&alias, "alias");
    if (!ok && errno == ENOENT && is_single_user()) {
        alias = (struct account){.uid = geteuid(), .gid = getegid()};
        ok = true;
    }
    char *home = ok ? getcwd(NULL, 0) : NULL;
    stralloc folder = STRALLOC_ZERO;
    ok = home && text_copy(&folder, home) && text_append(&folder, "/alias") &&
         append_user(answer, "alias", alias.uid, alias.gid, folder.s) &&
         text_append_string(answer, "-") && text_append_string(answer, local);
    free(home);
    stralloc_free(&folder);
    return ok;
}

bool
passwd_user_find(stralloc *answer, const char *local)
{
    char name[NAME_MAX_BYTES + 1];
    const struct passwd *entry;

    for (size_t len = strlen(local); len > 0; len--) {
        if (len > NAME_MAX_BYTES || (local[len] && local[len] != '-'))
            continue;
        memcpy(name, local, len);
        name[len] = '\0';
        text_lower(name, len);
        enum found found = find_account(name, &entry);
        if (found == FOUND_ERROR)
            return false;
        if (found == FOUND_USER)
            return append_user(answer, entry->pw_name, entry->pw_uid, entry->pw_gid,
                               entry->pw_dir) &&
                   text_append_string(answer, local[len] ? "-" : "") &&
                   text_append_string(answer, local[len] ? local + len + 1 : "");
    }
    return append_alias(answer, local);
}
