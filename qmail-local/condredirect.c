/* condredirect: forward a message elsewhere if a program says so, for a .qmail line.
 *
 * usage   condredirect newaddress program [argument ...]
 * stdin   the message, a seekable file; the program gets it
 * stdout  "qp <pid>" after forwarding
 * env     SENDER, DTLINE; QMAILHOME, QMAILQUEUE
 * exit    99 forwarded, the .qmail file ends here (the program ended with 0); 111 the
 *         program ended with 111, crashed or cannot be run, or forwarding failed for now;
 *         100 it failed for good, or bad usage; else 0, go on
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/buffer.h>
#include <skalibs/strerr.h>

#include "condition.h"
#include "die.h"
#include "exitcode.h"
#include "home.h"
#include "injection.h"
#include "text.h"

static void
put_message(struct injection *injection)
{
    char chunk[64 * 1024];
    ssize_t got;

    if (lseek(0, 0, SEEK_SET) < 0)
        die_temp("rewind", "the message");
    while ((got = read(0, chunk, sizeof chunk)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            die_temp("read", "the message");
        if (!injection_put(injection, chunk, (size_t)got))
            return; /* injection_commit() tells */
    }
}

static _Noreturn void
fail(const struct injection_receipt *receipt)
{
    const char *reason = exitcode_queue_text(receipt->code);
    bool is_permanent = exitcode_queue_is_permanent(receipt->code);

    if (receipt->code == QUEUE_CUSTOM && receipt->text.len > 1) {
        reason = receipt->text.s + 1;
        is_permanent = receipt->text.s[0] == 'D';
    }
    buffer_puts(buffer_2, "condredirect: fatal: unable to forward: ");
    buffer_puts(buffer_2, reason);
    buffer_puts(buffer_2, "\n");
    buffer_flush(buffer_2);
    _exit(is_permanent ? EXITCODE_PERMANENT : EXITCODE_TEMPORARY);
}

static void
print_receipt(const struct injection_receipt *receipt)
{
    stralloc line = STRALLOC_ZERO;
    if (!text_copy(&line, "qp ") || !text_append_number(&line, receipt->pid) ||
        !text_append(&line, "\n") || buffer_put(buffer_1, line.s, line.len) < 0 ||
        !buffer_flush(buffer_1))
        return; /* the message is forwarded all the same */
}

static void
forward(const char *dtline, const char *sender, const char *recipient)
{
    struct injection injection;
    struct injection_receipt receipt = {0};

    injection_init_local(&injection);
    injection_start(&injection);
    (void)injection_put(&injection, dtline, strlen(dtline));
    put_message(&injection);
    (void)injection_sender(&injection, sender);
    (void)injection_recipient(&injection, recipient);
    if (!home_enter())
        die_temp("enter", home_path());
    if (!injection_commit(&injection, &receipt))
        fail(&receipt);
    print_receipt(&receipt);
}

int
main(int argc, const char *const *argv)
{
    PROG = "condredirect";
    if (argc < 3)
        die_usage("condredirect newaddress program [argument ...]");
    const char *sender = getenv("SENDER");
    const char *dtline = getenv("DTLINE");
    if (!sender)
        die_perm("SENDER is not set");
    if (!dtline)
        die_perm("DTLINE is not set");
    switch (condition_ask(argv + 2)) {
    case CONDITION_YES:
        break;
    case CONDITION_NO:
        return EXITCODE_OK;
    default:
        return EXITCODE_TEMPORARY;
    }
    forward(dtline, sender, argv[1]);
    return EXITCODE_STOP;
}
