#include "exitcode.h"

#include <sys/wait.h>

enum exitcode_outcome
exitcode_of_program(int wait_status)
{
    if (!WIFEXITED(wait_status))
        return OUTCOME_TEMPORARY;
    switch (WEXITSTATUS(wait_status)) {
    case EXITCODE_OK:
        return OUTCOME_SUCCESS;
    case EXITCODE_STOP:
        return OUTCOME_STOP;
    case EXITCODE_PERMANENT:
    case 64: /* the permanent ones of sysexits.h: EX_USAGE, EX_DATAERR, EX_SOFTWARE, */
    case 65: /* EX_PROTOCOL, EX_NOPERM, EX_CONFIG */
    case 70:
    case 76:
    case 77:
    case 78:
    case 112: /* qmail-local's own "usage" */
        return OUTCOME_PERMANENT;
    default:
        return OUTCOME_TEMPORARY;
    }
}

bool
exitcode_queue_is_permanent(unsigned int code)
{
    return code >= 11 && code <= 40;
}

static const struct queue_meaning {
    unsigned int code;
    const char *status;
    const char *text;
} meanings[] = {
    {QUEUE_OK, "2.0.0", "ok (#2.0.0)"},
    {QUEUE_ADDRESS_TOO_LONG, "5.1.3", "an envelope address is too long (#5.1.3)"},
    {115, "5.1.3", "an envelope address is too long (#5.1.3)"},
    {QUEUE_REFUSED, "5.3.0", "the mail server refuses this message for good (#5.3.0)"},
    {QUEUE_NO_MEMORY, "4.3.0", "the queue is out of memory (#4.3.0)"},
    {QUEUE_TIMEOUT, "4.3.0", "the queue waited too long (#4.3.0)"},
    {QUEUE_WRITE_ERROR, "4.3.0", "the queue cannot write, or the disk is full (#4.3.0)"},
    {QUEUE_READ_ERROR, "4.3.0", "the queue could not read the message (#4.3.0)"},
    {QUEUE_CONFIG_ERROR, "4.3.0", "the queue cannot read its configuration (#4.3.0)"},
    {QUEUE_NETWORK_ERROR, "4.3.0", "the queue has a network problem (#4.3.0)"},
    {QUEUE_NO_HOME, "4.3.0", "the mail server's home cannot be entered (#4.3.0)"},
    {QUEUE_NO_QUEUE, "4.3.0", "the queue cannot be reached (#4.3.0)"},
    {63, "4.3.0", "the queue cannot make a temporary file (#4.3.0)"},
    {QUEUE_MESS_TROUBLE, "4.3.0", "the queue cannot make a message file (#4.3.0)"},
    {65, "4.3.0", "the queue cannot make an envelope file (#4.3.0)"},
    {66, "4.3.0", "the queue cannot enter the message (#4.3.0)"},
    {QUEUE_REFUSED_NOW, "4.3.0", "the mail server refuses this message for now (#4.3.0)"},
    {QUEUE_CONNECT_TIMEOUT, "4.4.1", "connection to the queue timed out (#4.4.1)"},
    {QUEUE_CONNECT_REFUSED, "4.4.1", "connection to the queue was refused (#4.4.1)"},
    {QUEUE_TALK_FAILED, "4.4.2", "the connection to the queue died (#4.4.2)"},
    {QUEUE_BUG, "4.3.0", "the queue program has a bug (#4.3.0)"},
    {QUEUE_BAD_ENVELOPE, "4.3.0", "the queue program got a bad envelope (#4.3.0)"},
    {QUEUE_EXEC_FAILED, "4.3.0", "the queue program cannot be started (#4.3.0)"},
};

static const struct queue_meaning other_permanent = {
    0, "5.3.0", "the queue program refuses this message for good (#5.3.0)"};
static const struct queue_meaning other_temporary = {
    0, "4.3.0", "the queue program failed for now (#4.3.0)"};

static const struct queue_meaning *
meaning_of(unsigned int code)
{
    for (unsigned int i = 0; i < sizeof meanings / sizeof *meanings; i++)
        if (meanings[i].code == code)
            return &meanings[i];
    return exitcode_queue_is_permanent(code) ? &other_permanent : &other_temporary;
}

const char *
exitcode_queue_text(unsigned int code)
{
    return meaning_of(code)->text;
}

const char *
exitcode_queue_status(unsigned int code)
{
    return meaning_of(code)->status;
}
