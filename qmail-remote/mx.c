#include "mx.h"

#include <string.h>

#include "text.h"

struct exchanger {
    uint16_t preference;
    uint32_t lot; /* drawn at random: the order among equals */
    const char *name;
};

/* One search: what has been found and seen so far. */
struct search {
    struct mx_list *list;
    const struct mx_source *source;
    bool has_trouble; /* a query failed for the time being */
    bool is_cut;      /* a target was this host */
};

/* An insertion sort: the records of one name are few. */
static void
sort_exchangers(struct exchanger *exchangers, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct exchanger moving = exchangers[i];
        size_t to = i;
        while (to && (exchangers[to - 1].preference > moving.preference ||
                      (exchangers[to - 1].preference == moving.preference &&
                       exchangers[to - 1].lot > moving.lot))) {
            exchangers[to] = exchangers[to - 1];
            to--;
        }
        exchangers[to] = moving;
    }
}

static void
add_target(struct search *search, const struct internet_address *address,
           uint16_t preference)
{
    struct mx_list *list = search->list;
    if (search->source->own && internet_address_is_in(search->source->own, address))
        search->is_cut = true;
    for (size_t i = 0; i < list->count; i++)
        if (internet_address_equal(&list->targets[i].address, address))
            return; /* two names of one host: once is enough */
    if (list->count < MX_TARGETS_MAX)
        list->targets[list->count++] =
            (struct mx_target){.address = *address, .preference = preference};
}

static void
add_addresses(struct search *search, const char *name, uint16_t type, uint16_t preference)
{
    struct dns_answer answer = {.count = 0};
    size_t len = type == DNS_TYPE_A ? 4 : 16;

    enum dns_status status =
        search->source->query(search->source->context, &answer, name, type);
    if (status == DNS_TEMPORARY)
        search->has_trouble = true;
    for (size_t i = 0; i < answer.count; i++) {
        struct internet_address address = {.family =
                                               type == DNS_TYPE_A ? AF_INET : AF_INET6};
        memcpy(address.bytes, answer.data.s + answer.records[i].at, len);
        add_target(search, &address, preference);
    }
    dns_answer_free(&answer);
}

/* Add the targets of one exchanger. When it is this host: cut it off, with its equals. */
static void
add_exchanger(struct search *search, const char *name, uint16_t preference)
{
    if (search->source->own && text_equal_nocase(name, search->source->me)) {
        search->is_cut = true;
    } else {
        add_addresses(search, name, DNS_TYPE_A, preference);
        add_addresses(search, name, DNS_TYPE_AAAA, preference);
    }
    struct mx_list *list = search->list;
    while (search->is_cut && list->count &&
           list->targets[list->count - 1].preference >= preference)
        list->count--;
}

static enum mx_status
verdict(const struct search *search)
{
    if (search->list->count)
        return MX_FOUND;
    if (search->has_trouble)
        return MX_TEMPORARY;
    return search->is_cut ? MX_LOOP : MX_NO_ADDRESS;
}

static enum mx_status
find_exchangers(struct search *search, const struct dns_answer *answer)
{
    struct exchanger exchangers[DNS_RECORDS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < answer->count; i++) {
        const char *name = answer->data.s + answer->records[i].at;
        if (*name)
            exchangers[count++] = (struct exchanger){
                .preference = answer->records[i].preference,
                .lot = search->source->random(search->source->context),
                .name = name,
            };
    }
    if (!count)
        return MX_NULL;
    sort_exchangers(exchangers, count);
    for (size_t i = 0; i < count && !search->is_cut; i++) {
        if (search->list->count >= MX_TARGETS_ENOUGH)
            break;
        add_exchanger(search, exchangers[i].name, exchangers[i].preference);
    }
    return verdict(search);
}

static enum mx_status
find_host_itself(struct search *search, const char *host)
{
    struct internet_address address;
    if (internet_address_scan(&address, host)) {
        add_target(search, &address, 0);
        if (search->is_cut)
            search->list->count = 0;
    } else if (host[0] == '[') {
        return MX_NO_NAME; /* a literal that is none */
    } else {
        add_exchanger(search, host, 0);
    }
    return verdict(search);
}

enum mx_status
mx_find(struct mx_list *list, const struct mx_source *source, const char *host)
{
    struct search search = {.list = list, .source = source};
    struct dns_answer answer = {.count = 0};
    enum mx_status status = MX_TEMPORARY;

    list->count = 0;
    if (host[0] == '[')
        return find_host_itself(&search, host);
    switch (source->query(source->context, &answer, host, DNS_TYPE_MX)) {
    case DNS_FOUND:
        status = find_exchangers(&search, &answer);
        break;
    case DNS_NO_NAME:
        status = MX_NO_NAME;
        break;
    case DNS_NO_DATA:
        status = find_host_itself(&search, host);
        break;
    case DNS_TEMPORARY:
        break;
    }
    dns_answer_free(&answer);
    return status;
}

enum mx_status
mx_find_relay(struct mx_list *list, const struct mx_source *source, const char *relay)
{
    struct mx_source without_loops = *source;
    struct search search = {.list = list, .source = &without_loops};

    without_loops.own = NULL;
    list->count = 0;
    return find_host_itself(&search, relay);
}
