/* qmail-queue: put one message into the queue.
 *
 * usage   qmail-queue
 * stdin   the message, to its end; lines end with LF
 * fd 1    read, not written: the envelope, "F" sender NUL { "T" recipient NUL } NUL
 * stdout  that is fd 1: no output
 * env     QMAILHOME, TMPDIR; QMAILQUEUE does not count here, this is the queue program
 * files   queue/inject   the message goes to qmail-queued, which makes it safe
 *         queue/drop     it is left here while qmail-queued cannot be reached
 * exit    0 queued; 11 address too long (1002 bytes); 51 out of memory; 52 took 24 hours,
 *         or the queue 5 minutes; 53 write error, disk full; 54 message or envelope
 *         cannot be read, or the envelope ends early (do not queue); 61 cannot enter the
 *         home; 62 cannot enter the queue; 64 trouble with queue/mess; 74 qmail-queued
 *         died: it may have been queued; 81 bug; 91 not an envelope; 100 usage
 * spec    qmail's: message on 0, envelope on 1, these exit codes
 */

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/buffer.h>
#include <skalibs/sig.h>
#include <skalibs/strerr.h>

#include "die.h"
#include "drop_leave.h"
#include "exitcode.h"
#include "home.h"
#include "injection.h"

enum {
    FD_MESSAGE = 0,
    FD_ENVELOPE = 1,
    DEADLINE_S = 24 * 60 * 60,
    CHUNK = 65536,
};

static void
too_late(int signal_number)
{
    (void)signal_number;
    _exit(QUEUE_TIMEOUT);
}

static void
read_message(struct injection *injection)
{
    char chunk[CHUNK];
    ssize_t got;

    while ((got = fd_read(FD_MESSAGE, chunk, sizeof chunk)) > 0)
        if (!injection_put(injection, chunk, (size_t)got))
            _exit((int)injection->error);
    if (got < 0)
        _exit(QUEUE_READ_ERROR);
}

static char
next_byte(buffer *input)
{
    char byte;
    /* an early end is how a caller says: do not queue */
    if (buffer_get(input, &byte, 1) != 1)
        _exit(QUEUE_READ_ERROR);
    return byte;
}

/* Read one address up to its NUL. */
static void
read_address(buffer *input, char address[INJECTION_ADDRESS_MAX + 1])
{
    for (size_t len = 0; (address[len] = next_byte(input)) != '\0'; len++)
        if (len == INJECTION_ADDRESS_MAX)
            _exit(QUEUE_ADDRESS_TOO_LONG);
}

static void
read_envelope(struct injection *injection)
{
    char storage[4096];
    char address[INJECTION_ADDRESS_MAX + 1];
    buffer input;
    char letter;

    buffer_init(&input, &buffer_read, FD_ENVELOPE, storage, sizeof storage);
    if (next_byte(&input) != 'F')
        _exit(QUEUE_BAD_ENVELOPE);
    read_address(&input, address);
    if (!injection_sender(injection, address))
        _exit((int)injection->error);
    while ((letter = next_byte(&input)) != '\0') {
        if (letter != 'T')
            _exit(QUEUE_BAD_ENVELOPE);
        read_address(&input, address);
        if (!injection_recipient(injection, address))
            _exit((int)injection->error);
    }
}

int
main(int argc, const char *const *argv)
{
    PROG = "qmail-queue";
    struct injection injection;
    struct injection_receipt receipt = {0};
    (void)argv;

    if (argc != 1)
        die_usage("qmail-queue (message on descriptor 0, envelope on descriptor 1)");
    if (!home_enter())
        _exit(QUEUE_NO_HOME);
    sig_ignore(SIGPIPE);
    sig_ignore(SIGXFSZ);
    sig_catch(SIGALRM, too_late);
    alarm(DEADLINE_S);
    injection_init(&injection);
    injection.program = NULL;
    injection_start(&injection);
    read_message(&injection);
    read_envelope(&injection);
    injection_commit(&injection, &receipt);
    if (receipt.code == QUEUE_NO_QUEUE)
        receipt.code = drop_leave(&injection.spool, injection.message_len);
    return (int)receipt.code;
}
