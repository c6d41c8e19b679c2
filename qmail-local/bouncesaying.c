/* bouncesaying: bounce a message, always or if a program says so, for a .qmail line.
 *
 * usage   bouncesaying text [program [argument ...]]
 * stdin   the message; the program gets it
 * stdout  text, when the message is to bounce: it becomes the reason
 * exit    100 bounce (no program, or it ended with 0); 111 the program ended with 111,
 *         crashed or cannot be run; else 0, go on
 */
#include <skalibs/buffer.h>
#include <skalibs/strerr.h>

#include "condition.h"
#include "die.h"
#include "exitcode.h"

int
main(int argc, const char *const *argv)
{
    enum condition condition = CONDITION_YES;

    PROG = "bouncesaying";
    if (argc < 2)
        die_usage("bouncesaying text [program [argument ...]]");
    if (argc > 2)
        condition = condition_ask(argv + 2);
    if (condition == CONDITION_LATER)
        return EXITCODE_TEMPORARY;
    if (condition == CONDITION_NO)
        return EXITCODE_OK;
    if (buffer_puts(buffer_1, argv[1]) < 0 || buffer_puts(buffer_1, "\n") < 0 ||
        !buffer_flush(buffer_1))
        die_temp("write", "the text");
    return EXITCODE_PERMANENT;
}
