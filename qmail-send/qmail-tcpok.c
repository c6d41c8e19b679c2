/* qmail-tcpok: let qmail-send forget which destinations have not answered.
 *
 * usage   qmail-tcpok
 * files   queue/control: qmail-send is told, and tries what waits at once
 * exit    0; 100 bad usage, or not allowed; 111 trouble, or qmail-send does not run
 */
#include <skalibs/strerr.h>

#include "die.h"
#include "home.h"
#include "operator_ask.h"

int
main(int argc, char **argv)
{
    PROG = "qmail-tcpok";
    (void)argv;
    if (argc != 1)
        die_usage("qmail-tcpok");
    if (!home_enter())
        die_temp("enter", home_path());
    enum operator_status status = operator_ask("forget", NULL);
    if (status == OPERATOR_FORBIDDEN)
        die_perm("only root and the owner of the queue may ask qmail-send");
    if (status != OPERATOR_OK)
        die_temp("ask", "qmail-send");
    return 0;
}
