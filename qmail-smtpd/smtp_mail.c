#include <string.h>
#include <strings.h>

#include <skalibs/types.h>

#include "smtp_reply.h"
#include "smtp_verb.h"

/* SIZE=, RFC 1870 6. A number too large to be read is surely over the limit. */
static enum smtp_reply
check_size(struct smtp_session *session, const char *value)
{
    uint64_t size, limit;
    size_t digits = strspn(value, "0123456789");
    if (!digits || digits > 20 || value[digits])
        return SMTP_BAD_VALUE;
    if (!smtp_policy_databytes(&session->policy, &limit))
        return SMTP_NO_CONTROL;
    if (!uint640_scan(value, &size))
        size = UINT64_MAX;
    return limit && size > limit ? SMTP_TOO_BIG : SMTP_OK;
}

/* BODY=, RFC 6152 2. Bytes above 127 are passed on either way. */
static enum smtp_reply
check_body(const char *value)
{
    return strcasecmp(value, "7BIT") == 0 || strcasecmp(value, "8BITMIME") == 0
               ? SMTP_OK
               : SMTP_BAD_VALUE;
}

static enum smtp_reply
check_parameter(struct smtp_session *session, const char *parameter)
{
    if (strncasecmp(parameter, "SIZE=", 5) == 0)
        return check_size(session, parameter + 5);
    if (strncasecmp(parameter, "BODY=", 5) == 0)
        return check_body(parameter + 5);
    return SMTP_BAD_PARAMETER;
}

/* rest  what follows the path; cut into words */
static enum smtp_reply
check_parameters(struct smtp_session *session, char *rest)
{
    enum smtp_reply reply = SMTP_OK;
    while (reply == SMTP_OK && *(rest += strspn(rest, " \t"))) {
        char *end = rest + strcspn(rest, " \t");
        bool is_last = !*end;
        *end = '\0';
        reply = check_parameter(session, rest);
        rest = is_last ? end : end + 1;
    }
    return reply;
}

static enum smtp_reply
take_sender(struct smtp_session *session, char *argument)
{
    const char *rest;

    if (session->has_sender)
        return SMTP_MAIL_TWICE;
    if (strncasecmp(argument, "FROM:", 5) != 0)
        return SMTP_MAIL_SYNTAX;
    enum address_status status =
        address_parse_path(&session->sender, argument + 5, &rest);
    enum smtp_reply reply = smtp_reply_for_path(status, SMTP_BAD_SENDER_ADDRESS);
    if (reply == SMTP_OK)
        reply = check_parameters(session, argument + (rest - argument));
    return reply;
}

void
smtp_mail(struct smtp_session *session, char *argument)
{
    enum smtp_reply reply = take_sender(session, argument);
    enum smtp_verdict is_bad = SMTP_VERDICT_NO;

    if (reply == SMTP_OK)
        is_bad = smtp_policy_is_bad_sender(&session->policy, session->sender.s);
    if (is_bad == SMTP_VERDICT_ERROR)
        reply = SMTP_NO_CONTROL;
    if (reply == SMTP_NO_CONTROL || reply == SMTP_NO_MEMORY) {
        smtp_refuse_and_end(session, reply);
    } else if (reply != SMTP_OK) {
        smtp_refuse(session, reply, argument);
    } else {
        session->has_sender = true;
        session->is_bad_sender = is_bad == SMTP_VERDICT_YES;
        session->recipients.len = 0;
        session->recipient_count = 0;
        smtp_reply(session, SMTP_OK_SENDER);
    }
}
