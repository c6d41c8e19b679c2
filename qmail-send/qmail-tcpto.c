/* qmail-tcpto: print the destinations that have not answered.
 *
 * usage   qmail-tcpto
 * stdout  one line each: "<name> timed out <s> seconds ago; # recent timeouts: <n>;
 *         next try in <s> seconds; <n> messages waiting: <last report>"
 * files   queue/control: qmail-send is asked, nothing is kept in a file
 * exit    0; 100 bad usage, or not allowed; 111 trouble, or qmail-send does not run
 */
#include <stdio.h>
#include <string.h>

#include <skalibs/strerr.h>

#include "die.h"
#include "home.h"
#include "operator_ask.h"

enum column { CHANNEL, NAME, RUNNING, WAITING, FAILURES, AGO, NEXT, REPORT, COLUMNS };

/* Print a line of the answer if the destination has failed. It is cut into words. */
static bool
print_line(char *line)
{
    const char *words[COLUMNS];
    for (int i = 0; i < COLUMNS; i++) {
        words[i] = i == REPORT ? line : strsep(&line, " ");
        if (!words[i])
            return true; /* not as we know it */
    }
    if (strcmp(words[FAILURES], "0") == 0)
        return true;
    return printf("%s timed out %s seconds ago; # recent timeouts: %s; next try in %s "
                  "seconds; %s messages waiting: %s\n",
                  words[NAME], words[AGO], words[FAILURES], words[NEXT], words[WAITING],
                  words[REPORT]) >= 0;
}

int
main(int argc, char **argv)
{
    stralloc text = STRALLOC_ZERO;

    PROG = "qmail-tcpto";
    (void)argv;
    if (argc != 1)
        die_usage("qmail-tcpto");
    if (!home_enter())
        die_temp("enter", home_path());
    enum operator_status status = operator_ask("destinations", &text);
    if (status == OPERATOR_FORBIDDEN)
        die_perm("only root and the owner of the queue may ask qmail-send");
    if (status != OPERATOR_OK)
        die_temp("ask", "qmail-send");
    char *rest = text.s;
    for (char *line; (line = strsep(&rest, "\n"));)
        if (!print_line(line))
            die_temp("write", "output");
    if (fflush(stdout) != 0)
        die_temp("write", "output");
    return 0;
}
