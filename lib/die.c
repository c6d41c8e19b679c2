#include "die.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/buffer.h>
#include <skalibs/strerr.h>

#include "exitcode.h"

static void
say(const char *text)
{
    buffer_puts(buffer_2, text);
}

_Noreturn void
die_temp(const char *action, const char *object)
{
    const char *reason = strerror(errno);
    say(PROG), say(": fatal: unable to "), say(action), say(" "), say(object);
    say(": "), say(reason), say("\n");
    buffer_flush(buffer_2);
    _exit(EXITCODE_TEMPORARY);
}

static _Noreturn void
end(enum exitcode code, const char *kind, const char *text)
{
    say(PROG), say(kind), say(text), say("\n");
    buffer_flush(buffer_2);
    _exit((int)code);
}

_Noreturn void
die_perm(const char *reason)
{
    end(EXITCODE_PERMANENT, ": fatal: ", reason);
}

_Noreturn void
die_later(const char *reason)
{
    end(EXITCODE_TEMPORARY, ": fatal: ", reason);
}

_Noreturn void
die_usage(const char *synopsis)
{
    end(EXITCODE_PERMANENT, ": usage: ", synopsis);
}
