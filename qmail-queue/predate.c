/* predate: put a Date field with the local time zone before a message.
 *
 * usage   predate program [argument ...]
 * stdin   a message; it is passed on as it is
 * stdout  the program's
 * env     TZ, PATH
 * runs    program, its stdin the Date field and the message
 * exit    that of the program; 100 wrong usage; 111 it cannot be run, or was killed
 * spec    RFC 5322 3.3
 */
#include <time.h>
#include <unistd.h>

#include <skalibs/strerr.h>

#include "die.h"
#include "feed.h"

int
main(int argc, char **argv)
{
    char field[64];
    struct tm parts;
    time_t now = time(NULL);
    int status;
    PROG = "predate";

    if (argc < 2)
        die_usage("predate program [argument ...]");
    if (!localtime_r(&now, &parts))
        die_temp("tell", "the time");
    size_t len = strftime(field, sizeof field, "Date: %d %b %Y %H:%M:%S %z\n", &parts);
    if (!feed_program(argv + 1, field, len, &status))
        die_temp("pass the message to", argv[1]);
    int code = feed_exit_code(status);
    if (code == 111)
        strerr_warn(PROG, ": fatal: ", argv[1], " failed for now, or cannot be run");
    return code;
}
