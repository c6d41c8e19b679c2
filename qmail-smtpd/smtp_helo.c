#include <string.h>

#include "smtp_reply.h"
#include "smtp_verb.h"
#include "text.h"

enum { HELO_MAX = 255 }; /* RFC 5321 4.5.3.1.2 */

/* Any name is taken, as qmail does: clients that do not know theirs are common, and it
 * proves nothing. returns false when the client or the memory gave us none */
static bool
take_name(struct smtp_session *session, const char *argument)
{
    size_t len = strnlen(argument, HELO_MAX + 1);
    smtp_session_reset(session); /* RFC 5321 4.1.4 */
    if (!len || len > HELO_MAX) {
        smtp_refuse(session, SMTP_HELO_SYNTAX, argument);
        return false;
    }
    if (!text_copy(&session->helo, argument)) {
        smtp_refuse_and_end(session, SMTP_NO_MEMORY);
        return false;
    }
    return true;
}

void
smtp_helo(struct smtp_session *session, char *argument)
{
    if (!take_name(session, argument))
        return;
    session->is_esmtp = false;
    smtp_reply_helo(session);
}

void
smtp_ehlo(struct smtp_session *session, char *argument)
{
    uint64_t databytes;
    if (!take_name(session, argument))
        return;
    if (!smtp_policy_databytes(&session->policy, &databytes)) {
        smtp_refuse_and_end(session, SMTP_NO_CONTROL);
        return;
    }
    session->is_esmtp = true;
    smtp_reply_ehlo(session, databytes);
}
