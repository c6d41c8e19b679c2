/* qmail-smtpd: take mail from one SMTP client and put it into the queue.
 *
 * usage   qmail-smtpd
 * stdin   what the client says; under tcpserver the connection, read and written
 * stdout  our replies; the same connection
 * stderr  a line for each command or message that is refused
 * env     TCPREMOTEIP, TCPREMOTEHOST, TCPREMOTEINFO, TCPLOCALHOST, TCPLOCALIP: who is
 *         who; RELAYCLIENT, DATABYTES, QMAILQUEUE: what tcprules decided; QMAILHOME
 * files   control/: badmailfrom databytes localiphost maxerrors maxrecipients me
 *         moreipme morercpthosts.cdb notipme rcpthosts smtpgreeting timeoutsmtpd;
 *         the socket queue/inject
 * exit    0 the client said QUIT; 1 it went without, or was sent away;
 *         100 wrong usage; 111 the home cannot be entered
 * spec    RFC 5321, 1870 (SIZE), 2034 and 3463 (codes), 2920 (PIPELINING), 6152
 *         (8BITMIME), 3848 (the words in Received)
 */

#include <unistd.h>

#include <skalibs/sig.h>
#include <skalibs/strerr.h>

#include "die.h"
#include "home.h"
#include "smtp_session.h"

int
main(int argc, char **argv)
{
    struct smtp_session session;

    PROG = "qmail-smtpd";
    (void)argv;
    if (argc != 1)
        die_usage("qmail-smtpd");
    if (!home_enter())
        die_temp("enter", home_path());
    sig_ignore(SIGPIPE); /* a client that went away is noticed by its EPIPE */
    smtp_session_init(&session, STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO);
    return smtp_session_run(&session);
}
