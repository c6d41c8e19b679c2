#include "route.h"

#include <string.h>

#include "smtp_route.h"
#include "text.h"

static const char verp_mark[] = "-@[]";

enum { VERP_MARK_LEN = sizeof verp_mark - 1 };

/* Where the domain begins, behind the last '@'. The address has one. */
static size_t
domain_offset(const stralloc *address)
{
    return (size_t)(strrchr(address->s, '@') - address->s) + 1;
}

/* user%domain@hack becomes user@domain while the domain is in control/percenthack. */
static void
apply_percenthack(stralloc *address, const struct name_map *percenthack)
{
    for (;;) {
        size_t domain = domain_offset(address);
        if (!name_map_find(percenthack, address->s + domain, address->len - domain))
            return;
        address->s[domain - 1] = '\0';
        char *percent = strrchr(address->s, '%');
        if (!percent) {
            address->s[domain - 1] = '@';
            return;
        }
        address->len = domain - 1;
        *percent = '@';
    }
}

/* Ask control/virtualdomains: the address, the domain, its suffixes, the empty key. */
static const char *
virtual_prepend(const struct name_map *virtualdomains, const stralloc *address)
{
    size_t domain = domain_offset(address);
    const char *value = name_map_find(virtualdomains, address->s, address->len);
    if (!value)
        value = name_map_find_host(virtualdomains, address->s + domain, true);
    return value && *value ? value : NULL;
}

static bool
prepend(stralloc *address, const char *value)
{
    size_t len = strlen(value);
    size_t old_len = address->len;
    if (!stralloc_readyplus(address, len + 2))
        return false;
    memmove(address->s + len + 1, address->s, old_len + 1);
    memcpy(address->s, value, len);
    address->s[len] = '-';
    address->len = old_len + len + 1;
    return true;
}

/* The name of the destination: "relay:port" or the host. */
static bool
find_destination(struct route *route, const struct config *config)
{
    uint16_t port;
    size_t domain = domain_offset(&route->address);
    if (!text_copy(&route->host, route->address.s + domain))
        return false;
    text_lower(route->host.s, route->host.len);
    switch (
        smtp_route_find(&config->smtproutes, route->host.s, &route->destination, &port)) {
    case SMTP_ROUTE_FOUND:
        return text_append(&route->destination, ":") &&
               text_append_number(&route->destination, port);
    case SMTP_ROUTE_NONE:
    case SMTP_ROUTE_ERROR: /* a line without sense: qmail-remote reports it */
        break;
    }
    return text_copy(&route->destination, route->host.s);
}

/* The user, as far as an address tells: what precedes the first '-'. All of one
 * user's addresses count as one destination, or a slow program for user-default
 * would take every place. */
static bool
name_user(struct route *route)
{
    size_t local = domain_offset(&route->address);
    size_t len = strcspn(route->address.s, "-");
    if (local && local - 1 < len)
        len = local - 1;
    if (!text_copy_bytes(&route->destination, route->address.s, len))
        return false;
    text_lower(route->destination.s, len);
    return true;
}

bool
route_find(struct route *route, const struct config *config, const char *recipient)
{
    stralloc *address = &route->address;
    route->prepend_len = 0;
    if (!text_copy(address, recipient))
        return false;
    if (!strchr(recipient, '@') &&
        (!text_append(address, "@") || !text_append(address, config->envnoathost.s)))
        return false;
    apply_percenthack(address, &config->percenthack);

    size_t domain = domain_offset(address);
    route->is_local =
        name_map_find(&config->locals, address->s + domain, address->len - domain);
    if (!route->is_local) {
        const char *value = virtual_prepend(&config->virtualdomains, address);
        if (!value)
            return find_destination(route, config);
        if (!prepend(address, value))
            return false;
        route->prepend_len = strlen(value) + 1;
        route->is_local = true;
    }
    return text_copy(&route->host, "") && name_user(route);
}

bool
route_is_verp(const char *sender)
{
    size_t len = strlen(sender);
    /* "#@[]", the sender of double bounces, is no list */
    return len >= VERP_MARK_LEN && strcmp(sender + len - VERP_MARK_LEN, verp_mark) == 0;
}

bool
route_expand_sender(stralloc *out, const char *sender, const char *address)
{
    const char *recipient_at = strrchr(address, '@');
    if (!route_is_verp(sender) || !recipient_at)
        return text_copy(out, sender);
    size_t len = strlen(sender) - VERP_MARK_LEN;
    const char *at = memrchr(sender, '@', len);
    if (!at)
        return text_copy(out, sender);
    size_t prefix_len = (size_t)(at - sender);
    return text_copy_bytes(out, sender, prefix_len) &&
           text_append_bytes(out, address, (size_t)(recipient_at - address)) &&
           text_append(out, "=") && text_append(out, recipient_at + 1) &&
           text_append_bytes(out, at, len - prefix_len);
}

void
route_free(struct route *route)
{
    stralloc_free(&route->address);
    stralloc_free(&route->host);
    stralloc_free(&route->destination);
}
