#ifndef SMTP_VERB_H
#define SMTP_VERB_H

#include "smtp_session.h"

/* One function per SMTP verb, in smtp_<verb>.c. argument is the rest of the command line
 * without blanks around it, '\0' at its end. Each gives exactly one reply. */

void smtp_helo(struct smtp_session *session, char *argument);
void smtp_ehlo(struct smtp_session *session, char *argument);
void smtp_mail(struct smtp_session *session, char *argument);
void smtp_rcpt(struct smtp_session *session, char *argument);
void smtp_data(struct smtp_session *session, char *argument);
void smtp_rset(struct smtp_session *session, char *argument);
void smtp_quit(struct smtp_session *session, char *argument);
void smtp_noop(struct smtp_session *session, char *argument);
void smtp_help(struct smtp_session *session, char *argument);
void smtp_vrfy(struct smtp_session *session, char *argument);
void smtp_expn(struct smtp_session *session, char *argument);

#endif
