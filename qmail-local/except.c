/* except: turn the answer of a program round, for a .qmail line.
 *
 * usage   except program [argument ...]
 * stdin   the message; the program gets it
 * exit    100 if the program ends with 0; 111 if it ends with 111, crashes or cannot be
 *         run; else 0
 */
#include <skalibs/strerr.h>

#include "condition.h"
#include "die.h"
#include "exitcode.h"

int
main(int argc, const char *const *argv)
{
    PROG = "except";
    if (argc < 2)
        die_usage("except program [argument ...]");
    switch (condition_ask(argv + 1)) {
    case CONDITION_YES:
        return EXITCODE_PERMANENT;
    case CONDITION_NO:
        return EXITCODE_OK;
    default:
        return EXITCODE_TEMPORARY;
    }
}
