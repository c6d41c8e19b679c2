/* passwd_sources: see passwd_sources.h.
 *
 * libc    glibc: nsswitch.conf(5) is its own
 */

#include "passwd_sources.h"

#include <errno.h>
#include <nss.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

/* Put what follows "passwd:" in nsswitch.conf into *services. returns false with errno */
static bool
read_services(stralloc *services)
{
    char *line = NULL;
    size_t room = 0;
    bool ok = text_copy(services, "files");

    FILE *file = fopen("/etc/nsswitch.conf", "re");
    if (!file)
        return ok && errno == ENOENT;
    while (ok && getline(&line, &room, file) >= 0) {
        char *start = line + strspn(line, " \t");
        start[strcspn(start, "\n")] = '\0';
        if (strncmp(start, "passwd:", 7) == 0)
            ok = text_copy(services, start + 7);
    }
    ok = ok && !ferror(file);
    int saved = errno;
    free(line);
    (void)fclose(file);
    errno = saved;
    return ok;
}

/* getpwnam(3): these say "no such name", too */
static bool
is_trouble(int error)
{
    return error && error != ENOENT && error != ESRCH && error != EBADF && error != EPERM;
}

static const struct passwd *
ask(const char *services, const char *name)
{
    if (services && __nss_configure_lookup("passwd", services) < 0)
        return NULL;
    errno = 0;
    const struct passwd *entry = getpwnam(name);
    if (!entry && !is_trouble(errno))
        errno = 0;
    return entry;
}

/* Ask one service after the other, [actions] left out. words is overwritten.
 * returns  0; 1 when one of them knows the name; -1 with errno: one cannot be asked */
static int
ask_each(char *words, const char *name)
{
    int found = 0;
    char *rest = words;

    for (char *open; (open = strchr(words, '['));)
        memset(open, ' ', strcspn(open, "]") + (strchr(open, ']') != NULL));
    for (char *word; (word = strtok_r(rest, " \t", &rest));) {
        if (ask(word, name))
            found = 1;
        else if (errno)
            return -1;
    }
    return found;
}

const struct passwd *
passwd_sources_find(const char *name)
{
    stralloc services = STRALLOC_ZERO;
    const struct passwd *entry = ask(NULL, name);

    if (entry || errno)
        return entry;
    char *words = read_services(&services) ? strdup(services.s) : NULL;
    int found = words ? ask_each(words, name) : -1;
    int saved = found < 0 ? errno : 0;
    if (words && __nss_configure_lookup("passwd", services.s) < 0)
        saved = errno;
    if (found > 0 && !saved) { /* it could not be asked, and now it can */
        entry = ask(NULL, name);
        saved = errno;
    }
    free(words);
    stralloc_free(&services);
    errno = saved;
    return entry;
}
