#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "address.h"
#include "control.h"
#include "internet_address.h"
#include "smtp_reply.h"
#include "smtp_verb.h"
#include "text.h"

enum {
    RECIPIENTS_BYTES_MAX = 16 * 1024 * 1024
}; /* of one message, whatever maxrecipients says */

static enum smtp_reply
parse_recipient(stralloc *address, const char *argument)
{
    const char *rest;

    if (strncasecmp(argument, "TO:", 3) != 0)
        return SMTP_RCPT_SYNTAX;
    enum address_status status = address_parse_path(address, argument + 3, &rest);
    enum smtp_reply reply = smtp_reply_for_path(status, SMTP_BAD_RECIPIENT_ADDRESS);
    if (reply != SMTP_OK)
        return reply;
    if (rest[strspn(rest, " \t")])
        return SMTP_BAD_PARAMETER;
    return address->len ? SMTP_OK : SMTP_BAD_RECIPIENT_ADDRESS;
}

/* Is this address literal (RFC 5321 4.1.3) one of ours? Asks the kernel for its
 * interfaces. */
static enum smtp_verdict
is_own_literal(const char *literal)
{
    struct internet_address address;
    struct internet_address_set own;

    if (*literal != '[' || !internet_address_scan(&address, literal))
        return SMTP_VERDICT_NO;
    if (!internet_address_load_own(&own))
        return SMTP_VERDICT_ERROR;
    return internet_address_is_in(&own, &address) ? SMTP_VERDICT_YES : SMTP_VERDICT_NO;
}

/* user@[our own address] becomes user@localiphost. */
static enum smtp_reply
replace_local_literal(stralloc *address)
{
    stralloc host = STRALLOC_ZERO;
    const char *domain = address_domain(address->s);
    enum smtp_verdict is_own = domain ? is_own_literal(domain) : SMTP_VERDICT_NO;
    enum smtp_reply reply = SMTP_OK;

    if (is_own != SMTP_VERDICT_YES)
        return is_own == SMTP_VERDICT_NO ? SMTP_OK : SMTP_NO_CONTROL;
    address->len = (size_t)(domain - address->s);
    if (control_read_line_or_me(&host, "control/localiphost", "") != CONTROL_FOUND ||
        !host.len)
        reply = SMTP_NO_CONTROL;
    else if (!text_append(address, host.s))
        reply = SMTP_NO_MEMORY;
    stralloc_free(&host);
    return reply;
}

/* The log says once why nothing is taken. */
static void
warn_of_missing_rcpthosts(struct smtp_session *session)
{
    static const char text[] = "qmail-smtpd: warning: there is no control/rcpthosts: "
                               "mail is refused for every domain\n";
    bool *is_missing = &session->policy.rcpthosts.is_missing;
    if (*is_missing && write(session->log_fd, text, sizeof text - 1) > 0)
        *is_missing = false;
}

static enum smtp_reply
check_policy(struct smtp_session *session, const char *address)
{
    uint64_t limit;

    if (session->is_bad_sender)
        return SMTP_BAD_MAIL_FROM;
    switch (smtp_policy_may_send_to(&session->policy, address)) {
    case SMTP_VERDICT_YES:
        break;
    case SMTP_VERDICT_NO:
        warn_of_missing_rcpthosts(session);
        return SMTP_NO_RELAY;
    case SMTP_VERDICT_ERROR:
        return SMTP_NO_CONTROL;
    }
    if (!smtp_policy_max_recipients(&session->policy, &limit))
        return SMTP_NO_CONTROL;
    if (limit && session->recipient_count >= limit)
        return SMTP_TOO_MANY_RECIPIENTS;
    return SMTP_OK;
}

static enum smtp_reply
add_recipient(struct smtp_session *session, stralloc *address)
{
    const char *suffix = session->policy.relay_client;
    if (suffix && !text_append(address, suffix))
        return SMTP_NO_MEMORY;
    if (address->len > INJECTION_ADDRESS_MAX)
        return SMTP_BAD_RECIPIENT_ADDRESS;
    if (session->recipients.len + address->len >= RECIPIENTS_BYTES_MAX)
        return SMTP_TOO_MANY_RECIPIENTS;
    /* the '\0' behind the address goes with it */
    if (!text_append_bytes(&session->recipients, address->s, address->len + 1))
        return SMTP_NO_MEMORY;
    session->recipient_count++;
    return SMTP_OK_RECIPIENT;
}

void
smtp_rcpt(struct smtp_session *session, char *argument)
{
    stralloc address = STRALLOC_ZERO;
    enum smtp_reply reply = SMTP_WANT_MAIL;

    if (session->has_sender)
        reply = parse_recipient(&address, argument);
    if (reply == SMTP_OK)
        reply = replace_local_literal(&address);
    if (reply == SMTP_OK)
        reply = check_policy(session, address.s);
    if (reply == SMTP_OK)
        reply = add_recipient(session, &address);
    stralloc_free(&address);
    if (reply == SMTP_OK_RECIPIENT)
        smtp_reply(session, reply);
    else if (reply == SMTP_NO_CONTROL || reply == SMTP_NO_MEMORY)
        smtp_refuse_and_end(session, reply);
    else
        smtp_refuse(session, reply, argument);
}
