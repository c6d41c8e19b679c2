#include "smtp_reply.h"
#include "smtp_verb.h"

/* The verbs that need no more than a reply: NOOP, RSET, QUIT, HELP, VRFY, EXPN. */

void
smtp_noop(struct smtp_session *session, char *argument)
{
    (void)argument; /* RFC 5321 4.1.1.9 allows one and ignores it */
    smtp_reply(session, SMTP_OK);
}

void
smtp_rset(struct smtp_session *session, char *argument)
{
    if (*argument) {
        smtp_refuse(session, SMTP_SYNTAX, argument);
        return;
    }
    smtp_session_reset(session);
    smtp_reply(session, SMTP_OK_RESET);
}

void
smtp_quit(struct smtp_session *session, char *argument)
{
    if (*argument) {
        smtp_refuse(session, SMTP_SYNTAX, argument);
        return;
    }
    smtp_reply(session, SMTP_BYE);
    session->is_over = true;
}

void
smtp_help(struct smtp_session *session, char *argument)
{
    (void)argument;
    smtp_reply(session, SMTP_HELP);
}

void
smtp_vrfy(struct smtp_session *session, char *argument)
{
    (void)argument; /* nobody learns here who exists: RFC 5321 7.3 */
    smtp_reply(session, SMTP_CANNOT_VERIFY);
}

void
smtp_expn(struct smtp_session *session, char *argument)
{
    smtp_refuse(session, SMTP_NOT_IMPLEMENTED, argument);
}
