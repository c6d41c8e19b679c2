#include "dial.h"

#include <errno.h>
#include <string.h>

#include <skalibs/random.h>

#include "clock.h"
#include "connect.h"
#include "mx.h"
#include "text.h"

enum {
    DNS_LIMIT_S = 120,  /* all queries for one host */
    DIAL_LIMIT_S = 600, /* no further address is tried after this time */
    CODE_NO_MAIL = 521,
};

/* How the attempts went so far. */
struct attempts {
    bool has_memory_trouble;
    bool has_greeting; /* text holds what a server said, better than "cannot connect" */
    bool all_no_mail;  /* every server said 521 */
    int error;         /* errno of the last connect */
};

static enum dns_status
query(void *context, struct dns_answer *answer, const char *name, uint16_t type)
{
    return dns_query(context, answer, name, type);
}

static uint32_t
draw(void *context)
{
    (void)context;
    return random_uint32(UINT32_MAX);
}

static bool
append_all(stralloc *text, const char *const *pieces)
{
    for (; *pieces; pieces++)
        if (!text_append(text, *pieces))
            return false;
    return true;
}

/* What a failed search means. RFC 3463; the texts are ours, the codes qmail's. */
static enum dial_status
explain_search(stralloc *text, enum mx_status status, const char *name)
{
    const char *before = "Sorry, the host ", *after = "";
    enum dial_status result = DIAL_PERMANENT;

    switch (status) {
    case MX_FOUND:
        return DIAL_CONNECTED;
    case MX_NO_NAME:
        after = " does not exist. (#5.1.2)\n";
        break;
    case MX_NO_ADDRESS:
        after = " has no mail server: no MX, A or AAAA record leads to an address. "
                "(#5.4.4)\n";
        break;
    case MX_NULL:
        after = " says in its MX record that it takes no mail. (#5.1.10)\n";
        break;
    case MX_LOOP:
        before = "Sorry, the best mail server for ";
        after = " is this machine, but control/locals, which says for what mail is "
                "kept here, does not name it. (#5.4.6)\n";
        break;
    case MX_TEMPORARY:
        before = "The DNS gave no answer for ";
        after = ". (#4.4.3)\n";
        result = DIAL_TEMPORARY;
        break;
    }
    if (!text_copy(text, before) || !text_append_safe(text, name, strlen(name), true) ||
        !text_append(text, after))
        return DIAL_NO_MEMORY;
    return result;
}

static void
note_greeting(struct attempts *attempts, const struct smtp_client *client, stralloc *text,
              enum smtp_greeting greeting)
{
    char status[REMOTE_REPLY_STATUS_MAX];
    bool ok = text_copy(text, "");

    attempts->has_greeting = true;
    if (greeting == SMTP_GREETING_FAILED) {
        attempts->all_no_mail = false;
        ok = ok && append_all(text, (const char *[]){"Connected to ", client->peer.s,
                                                     ", but ", client->reason,
                                                     " before the first mail. (#4.4.2)\n",
                                                     NULL});
    } else {
        if (client->reply.code != CODE_NO_MAIL)
            attempts->all_no_mail = false;
        remote_reply_enhanced(status, &client->reply, ".3.2");
        if (!attempts->all_no_mail)
            status[0] = '4'; /* what we make of it */
        ok = ok &&
             append_all(text, (const char *[]){
                                  client->peer.s, " refused to talk to us. (#", status,
                                  ")\nRemote host said: ", client->reply.text.s, NULL});
    }
    if (!ok)
        attempts->has_memory_trouble = true;
}

/* Try one address. returns true when client is greeted */
static bool
try_address(struct smtp_client *client, const struct dial *dial,
            const struct internet_address *address, struct attempts *attempts,
            stralloc *text)
{
    const struct remote_config *config = dial->config;
    const struct internet_address *from =
        address->family == AF_INET6 ? &config->from_ipv6 : &config->from;
    stralloc peer = STRALLOC_ZERO;

    int fd = connect_to(address, dial->port, from, config->connect_s, config->io_s);
    if (fd < 0) {
        attempts->error = errno;
        attempts->all_no_mail = false;
        return false;
    }
    /* small enough, so that smtp_client_start can only fail before it owns fd */
    bool ok = internet_address_format(&peer, address);
    if (!smtp_client_start(client, fd, ok ? peer.s : "", config->io_s) || !ok)
        attempts->has_memory_trouble = true;
    stralloc_free(&peer);
    if (attempts->has_memory_trouble)
        return false;
    client->deadline_ms = clock_monotonic_ms() + (int64_t)config->io_s * 2 * 1000;
    enum smtp_greeting greeting = smtp_client_greet(client, config->helohost.s);
    if (greeting == SMTP_GREETING_OK && !client->is_closing)
        return true;
    note_greeting(attempts, client, text, greeting);
    smtp_client_close(client, true);
    return false;
}

static enum dial_status
explain_attempts(const struct attempts *attempts, const char *name, stralloc *text)
{
    if (attempts->has_memory_trouble)
        return DIAL_NO_MEMORY;
    if (attempts->has_greeting)
        return attempts->all_no_mail ? DIAL_PERMANENT : DIAL_TEMPORARY;
    if (!text_copy(text, "Sorry, no SMTP connection to ") ||
        !text_append_safe(text, name, strlen(name), true) ||
        !append_all(text, (const char *[]){" could be made: ", strerror(attempts->error),
                                           ". (#4.4.1)\n", NULL}))
        return DIAL_NO_MEMORY;
    return DIAL_TEMPORARY;
}

enum dial_status
dial_host(struct smtp_client *client, const struct dial *dial, stralloc *text)
{
    const struct mx_source source = {.query = query,
                                     .random = draw,
                                     .context = dial->dns,
                                     .own = &dial->config->own,
                                     .me = dial->config->me.s};
    const char *name = dial->relay[0] ? dial->relay : dial->host;
    struct attempts attempts = {.all_no_mail = true};
    struct mx_list list;

    dns_set_limit(dial->dns, DNS_LIMIT_S);
    enum mx_status status = dial->relay[0] ? mx_find_relay(&list, &source, name)
                                           : mx_find(&list, &source, name);
    if (status != MX_FOUND)
        return explain_search(text, status, name);
    int64_t limit_ms = clock_monotonic_ms() + (int64_t)DIAL_LIMIT_S * 1000;
    for (size_t i = 0; i < list.count && !attempts.has_memory_trouble; i++) {
        if (i && clock_monotonic_ms() >= limit_ms)
            break;
        if (try_address(client, dial, &list.targets[i].address, &attempts, text))
            return DIAL_CONNECTED;
    }
    return explain_attempts(&attempts, name, text);
}
