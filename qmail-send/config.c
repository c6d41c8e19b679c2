#include "config.h"

#include <errno.h>

#include "control.h"
#include "text.h"

static bool
read_names(struct name_map *map, const char *path, char separator)
{
    stralloc list = STRALLOC_ZERO;
    bool ok = control_read_list(&list, path) != CONTROL_ERROR &&
              name_map_build(map, &list, separator);
    stralloc_free(&list);
    return ok;
}

/* control/locals; without it, control/me is the only local domain. */
static bool
read_locals(struct name_map *map)
{
    stralloc list = STRALLOC_ZERO;
    enum control_status status = control_read_list(&list, "control/locals");
    if (status == CONTROL_ABSENT)
        status = control_read_list(&list, "control/me");
    bool ok = status != CONTROL_ERROR && name_map_build(map, &list, '\0');
    stralloc_free(&list);
    return ok;
}

/* There must be a control/me: without it we would not know what is local. */
static bool
read_me(stralloc *me)
{
    enum control_status status = control_read_line(me, "control/me");
    if (status == CONTROL_FOUND && !me->len)
        errno = EINVAL;
    if (status == CONTROL_ABSENT)
        errno = ENOENT;
    return status == CONTROL_FOUND && me->len;
}

static bool
read_host(stralloc *host, const char *path, const stralloc *me)
{
    enum control_status status = control_read_line(host, path);
    if (status == CONTROL_ABSENT)
        return text_copy(host, me->s);
    return status == CONTROL_FOUND;
}

static bool
read_text(stralloc *value, const char *path, const char *otherwise)
{
    enum control_status status = control_read_line(value, path);
    if (status == CONTROL_ABSENT)
        return text_copy(value, otherwise);
    return status == CONTROL_FOUND;
}

static bool
read_number(uint64_t *value, const char *path, uint64_t otherwise, uint64_t maximum)
{
    *value = otherwise;
    if (control_read_number(value, path) == CONTROL_ERROR)
        return false;
    if (*value > maximum)
        *value = maximum;
    return true;
}

/* Each file is named by one literal, so that grep finds where it is read. */
static const char *
read_all(struct config *new, stralloc *me)
{
    if (!read_me(me))
        return "control/me";
    if (!read_locals(&new->locals))
        return "control/locals";
    if (!read_names(&new->percenthack, "control/percenthack", '\0'))
        return "control/percenthack";
    if (!read_names(&new->virtualdomains, "control/virtualdomains", ':'))
        return "control/virtualdomains";
    if (!read_names(&new->smtproutes, "control/smtproutes", ':'))
        return "control/smtproutes";
    if (!read_host(&new->envnoathost, "control/envnoathost", me))
        return "control/envnoathost";
    if (!read_text(&new->bouncefrom, "control/bouncefrom", "MAILER-DAEMON"))
        return "control/bouncefrom";
    if (!read_host(&new->bouncehost, "control/bouncehost", me))
        return "control/bouncehost";
    if (!read_text(&new->doublebounceto, "control/doublebounceto", "postmaster"))
        return "control/doublebounceto";
    if (!read_host(&new->doublebouncehost, "control/doublebouncehost", me))
        return "control/doublebouncehost";
    if (!read_number(&new->bouncemaxbytes, "control/bouncemaxbytes", 0, UINT64_MAX))
        return "control/bouncemaxbytes";
    if (!read_number(&new->concurrencylocal, "control/concurrencylocal", 10,
                     CONFIG_CONCURRENCY_MAX))
        return "control/concurrencylocal";
    if (!read_number(&new->concurrencyremote, "control/concurrencyremote", 20,
                     CONFIG_CONCURRENCY_MAX))
        return "control/concurrencyremote";
    if (!read_number(&new->concurrencydestination, "control/concurrencydestination", 20,
                     CONFIG_CONCURRENCY_MAX))
        return "control/concurrencydestination";
    if (!read_number(&new->maxremoterecipients, "control/maxremoterecipients",
                     CONFIG_RECIPIENTS_MAX, CONFIG_RECIPIENTS_MAX))
        return "control/maxremoterecipients";
    if (!read_number(&new->queuelifetime_s, "control/queuelifetime", 604800, UINT32_MAX))
        return "control/queuelifetime";
    return NULL;
}

bool
config_read(struct config *config, const char **bad_file)
{
    struct config new = {0};
    stralloc me = STRALLOC_ZERO;

    *bad_file = read_all(&new, &me);
    int saved = errno;
    stralloc_free(&me);
    if (*bad_file) {
        config_free(&new);
        errno = saved;
        return false;
    }
    if (!new.concurrencydestination)
        new.concurrencydestination = 1;
    if (!new.maxremoterecipients)
        new.maxremoterecipients = 1;
    config_free(config);
    *config = new;
    return true;
}

void
config_free(struct config *config)
{
    name_map_free(&config->locals);
    name_map_free(&config->percenthack);
    name_map_free(&config->virtualdomains);
    name_map_free(&config->smtproutes);
    stralloc_free(&config->envnoathost);
    stralloc_free(&config->bouncefrom);
    stralloc_free(&config->bouncehost);
    stralloc_free(&config->doublebounceto);
    stralloc_free(&config->doublebouncehost);
    *config = (struct config){0};
}
