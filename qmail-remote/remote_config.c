#include "remote_config.h"

#include <errno.h>
#include <string.h>

#include "control.h"
#include "text.h"

enum { CONNECT_S = 60, IO_S = 1200, TIMEOUT_MAX_S = 86400 };

static bool
read_timeout(unsigned int *seconds, const char *path, unsigned int otherwise)
{
    uint64_t number = otherwise;
    if (control_read_number(&number, path) == CONTROL_ERROR)
        return false;
    if (number < 1)
        number = 1; /* 0 would mean "for ever" to the kernel */
    *seconds = number > TIMEOUT_MAX_S ? TIMEOUT_MAX_S : (unsigned int)number;
    return true;
}

static bool
read_names(struct remote_config *config)
{
    if (control_read_line(&config->me, "control/me") == CONTROL_ERROR)
        return false;
    switch (control_read_line(&config->helohost, "control/helohost")) {
    case CONTROL_FOUND:
        return true;
    case CONTROL_ABSENT:
        break;
    case CONTROL_ERROR:
        return false;
    }
    errno = ENOENT;
    return config->me.len && text_copy(&config->helohost, config->me.s);
}

static bool
read_routes(struct name_map *routes)
{
    stralloc list = STRALLOC_ZERO;
    bool ok = control_read_list(&list, "control/smtproutes") != CONTROL_ERROR &&
              name_map_build(routes, &list, ':');
    stralloc_free(&list);
    return ok;
}

/* control/outgoingip: the local address, on one line; a second one for the other
 * family after a blank. "0.0.0.0" and an empty line mean "any", as in the patches
 * that brought this file. */
static bool
read_outgoing(struct remote_config *config)
{
    stralloc line = STRALLOC_ZERO;
    struct internet_address address;
    bool ok = control_read_line(&line, "control/outgoingip") != CONTROL_ERROR;

    config->from.family = config->from_ipv6.family = AF_UNSPEC;
    for (size_t at = 0; ok && at < line.len;) {
        size_t len = strcspn(line.s + at, " \t");
        char saved = line.s[at + len];
        line.s[at + len] = '\0';
        if (len && !internet_address_scan(&address, line.s + at)) {
            errno = EINVAL;
            ok = false;
        } else if (len && address.family == AF_INET6) {
            config->from_ipv6 = address;
        } else if (len && strcmp(line.s + at, "0.0.0.0") != 0) {
            config->from = address;
        }
        line.s[at + len] = saved;
        at += len + 1;
    }
    stralloc_free(&line);
    return ok;
}

bool
remote_config_read(struct remote_config *config)
{
    return read_names(config) && read_routes(&config->routes) && read_outgoing(config) &&
           read_timeout(&config->connect_s, "control/timeoutconnect", CONNECT_S) &&
           read_timeout(&config->io_s, "control/timeoutremote", IO_S) &&
           internet_address_load_own(&config->own);
}

void
remote_config_free(struct remote_config *config)
{
    stralloc_free(&config->me);
    stralloc_free(&config->helohost);
    name_map_free(&config->routes);
    memset(config, 0, sizeof *config);
}
