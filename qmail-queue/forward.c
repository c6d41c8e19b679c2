/* forward: send the message on to other addresses, from a .qmail file.
 *
 * usage   forward [address ...]
 * stdin   the message from where the descriptor stands (it is not rewound) to its end
 * stderr  "forward: qp N", the queue's name for the copy
 * env     NEWSENDER its envelope sender, DTLINE the Delivered-To line put before it (both
 *         from qmail-local); QMAILQUEUE, QMAILHOME
 * files   queue/inject
 * runs    the program in QMAILQUEUE, or bin/qmail-queue when qmail-queued is down
 * exit    0 queued; 100 a variable is missing, or refused for good; 111 try again later
 * spec    .qmail programs as in dot-qmail(5); addresses are raw and complete
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "die.h"
#include "home.h"
#include "injection.h"

static const char *
need_variable(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    if (!value)
        die_perm(otherwise);
    return value;
}

static void
put_message(struct injection *injection)
{
    static char chunk[65536];
    for (;;) {
        ssize_t got = read(0, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            die_temp("read", "message");
        if (got == 0)
            return;
        injection_put(injection, chunk, (size_t)got); /* injection_commit tells */
    }
}

static void
commit(struct injection *injection)
{
    struct injection_receipt receipt = {.text = STRALLOC_ZERO};
    char number[UINT64_FMT];

    if (injection_commit(injection, &receipt)) {
        number[uint64_fmt(number, receipt.pid)] = '\0';
        strerr_warn(PROG, ": qp ", number);
        return;
    }
    const char *reason = injection_reason(&receipt);
    if (injection_is_permanent(&receipt))
        die_perm(reason);
    die_later(reason);
}

int
main(int argc, char **argv)
{
    struct injection injection;
    PROG = "forward";

    const char *sender = need_variable("NEWSENDER", "the variable NEWSENDER is not set");
    const char *dtline = need_variable("DTLINE", "the variable DTLINE is not set");
    if (!home_enter())
        die_temp("enter", home_path());
    injection_init_local(&injection);
    injection_start(&injection);
    injection_put(&injection, dtline, strlen(dtline));
    put_message(&injection);
    injection_sender(&injection, sender);
    for (int i = 1; i < argc; i++)
        injection_recipient(&injection, argv[i]);
    commit(&injection);
    return 0;
}
