/* datemail: sendmail, with a Date field in the local time zone.
 *
 * usage   datemail [sendmail option ...] [recipient ...]
 * stdin   a message without Date
 * env     TZ, QMAILHOME
 * runs    bin/predate bin/sendmail arguments, in its place
 * exit    as sendmail; 111 it cannot be run
 * spec    RFC 5322 3.3
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>

#include "die.h"
#include "home.h"
#include "text.h"

static char *
path_of(const char *program)
{
    stralloc path = STRALLOC_ZERO;
    if (!text_copy(&path, home_path()) || !text_append(&path, "/bin/") ||
        !text_append(&path, program))
        die_temp("allocate", "memory");
    return path.s;
}

static char **
allocate(size_t count)
{
    char **arguments = calloc(count, sizeof *arguments);
    if (arguments)
        return arguments;
    die_temp("allocate", "memory");
}

int
main(int argc, char **argv)
{
    PROG = "datemail";
    char **arguments = allocate((size_t)argc + 3);
    arguments[0] = path_of("predate");
    arguments[1] = path_of("sendmail");
    if (argc > 1)
        memcpy(arguments + 2, argv + 1, (size_t)(argc - 1) * sizeof *arguments);
    execv(arguments[0], arguments);
    die_temp("run", arguments[0]);
}
