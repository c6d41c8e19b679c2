/* qmail-inject: complete a message that a user hands in, and queue it.
 *
 * usage   qmail-inject [-nNaAhH] [-f sender] [recipient ...]
 *         -n print the message, -N queue it; recipients: -a arguments, -h header,
 *         -H both, -A arguments if there are any, else header
 * stdin   one message; lines end with LF, or all with CR LF
 * stdout  with -n the message, Return-Path first; otherwise nothing
 * env     QMAILUSER MAILUSER USER LOGNAME, QMAILHOST MAILHOST, QMAILNAME MAILNAME NAME,
 *         QMAILSUSER QMAILSHOST, QMAILDEFAULTHOST QMAILDEFAULTDOMAIN QMAILPLUSDOMAIN
 *         QMAILIDHOST, QMAILINJECT, QMAILMFTFILE, QMAILQUEUE, QMAILHOME
 * files   control/me defaulthost defaultdomain plusdomain idhost; queue/inject
 * runs    the program in QMAILQUEUE, or bin/qmail-queue when qmail-queued is down
 * exit    0 queued or printed; 100 wrong usage, a header field that cannot be understood,
 *         or refused for good; 111 try again later
 * spec    RFC 5322 3.6, 4; RFC 5321 4.1.1.3 (source routes)
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/buffer.h>
#include <skalibs/strerr.h>

#include "address.h"
#include "die.h"
#include "home.h"
#include "inject_header.h"
#include "inject_input.h"
#include "inject_settings.h"
#include "injection.h"
#include "text.h"

static const char USAGE[] = "qmail-inject [-nNaAhH] [-f sender] [recipient ...]";

enum recipients_from {
    FROM_ARGUMENTS = 'a',
    FROM_ARGUMENTS_OR_HEADER = 'A',
    FROM_HEADER = 'h',
    FROM_BOTH = 'H',
};

struct job {
    struct inject_settings settings;
    struct inject_input input;
    struct inject_header header;
    struct injection injection;
    stralloc sender;
    stralloc arguments; /* recipients, raw, each ended by '\0' */
    const char *sender_argument;
    enum recipients_from recipients_from;
    bool prints;
};

static void
read_options(struct job *job, int argc, char **argv)
{
    int option;
    opterr = 0;
    job->recipients_from = FROM_ARGUMENTS_OR_HEADER;
    while ((option = getopt(argc, argv, "+nNaAhHf:")) != -1)
        switch (option) {
        case 'n':
        case 'N':
            job->prints = option == 'n';
            break;
        case 'a':
        case 'A':
        case 'h':
        case 'H':
            job->recipients_from = (enum recipients_from)option;
            break;
        case 'f':
            job->sender_argument = optarg;
            break;
        default:
            die_usage(USAGE);
        }
}

/* Read the environment (before the current directory changes) and go home. */
static void
settle(struct job *job)
{
    if (!inject_settings_read(&job->settings))
        die_temp("read", "the file named by QMAILMFTFILE");
    if (job->sender_argument)
        job->settings.verp_recipient = job->settings.verp_message = false;
    if (!home_enter())
        die_temp("enter", home_path());
}

static void
read_argument(struct job *job, stralloc *out, const char *argument)
{
    if (inject_argument(&job->settings, out, argument))
        return;
    if (errno == EINVAL)
        die_perm("an address in the arguments is not valid");
    die_temp("complete", "an address");
}

static void
read_arguments(struct job *job, char **argv)
{
    stralloc address = STRALLOC_ZERO;
    if (job->recipients_from == FROM_HEADER)
        return;
    for (; *argv; argv++) {
        read_argument(job, &address, *argv);
        if (!address.len)
            die_perm("a recipient in the arguments is empty");
        if (!stralloc_catb(&job->arguments, address.s, address.len + 1))
            die_temp("allocate", "memory");
    }
}

/* "invalid header field: From: ..." with the first line of it, in printable bytes. */
static _Noreturn void
refuse_field(const stralloc *field)
{
    stralloc reason = STRALLOC_ZERO;
    size_t len = strcspn(field->s, "\r\n"); /* s[len] is '\0' */
    if (!text_copy(&reason, "invalid header field: ") ||
        !text_append_safe(&reason, field->s, len < 200 ? len : 200, false))
        die_temp("allocate", "memory");
    die_perm(reason.s);
}

static void
read_header(struct job *job)
{
    job->header.settings = &job->settings;
    if (!inject_input_header(&job->input)) {
        if (errno == EMSGSIZE)
            die_perm("the header is larger than 16 MiB");
        die_temp("read", "message");
    }
    switch (inject_header_read(&job->header, job->input.data.s, job->input.header_len)) {
    case INJECT_BAD_FIELD:
        refuse_field(&job->header.bad_field);
    case INJECT_ERROR:
        die_temp("complete", "the header");
    case INJECT_OK:
        break;
    }
}

/* -f, else Return-Path, else the environment; "-@[]" asks qmail-send for a sender of its
 * own for each recipient. */
static void
choose_sender(struct job *job)
{
    stralloc *given = &job->header.sender;
    if (job->sender_argument) {
        read_argument(job, &job->sender, job->sender_argument);
    } else if (job->header.has_sender) {
        if (!text_copy_bytes(&job->sender, given->s, given->len) ||
            (given->len && job->settings.verp_recipient &&
             !text_append(&job->sender, "-@[]")))
            die_temp("allocate", "memory");
    } else if (!inject_default_sender(&job->settings, &job->sender)) {
        die_temp("complete", "the sender");
    }
}

static void
put(struct job *job, const char *bytes, size_t len)
{
    if (!job->prints)
        injection_put(&job->injection, bytes, len); /* injection_commit tells */
    else if (buffer_put(buffer_1, bytes, len) < 0)
        die_temp("write", "message");
}

static void
put_header(struct job *job)
{
    stralloc added = STRALLOC_ZERO;
    if (job->prints &&
        (!text_append(&added, "Return-Path: <") ||
         !address_append_quoted(&added, job->sender.s) || !text_append(&added, ">\n")))
        die_temp("allocate", "memory");
    if (inject_header_complete(&job->header, &added) != INJECT_OK)
        die_temp("complete", "the header");
    put(job, added.s, added.len);
    put(job, job->header.fields.s, job->header.fields.len);
    if (job->input.has_body)
        put(job, "\n", 1);
    stralloc_free(&added);
}

static void
put_body(struct job *job)
{
    const char *bytes;
    size_t len;
    for (;;) {
        if (!inject_input_body(&job->input, &bytes, &len))
            die_temp("read", "message");
        if (!len)
            return;
        put(job, bytes, len);
    }
}

static void
put_recipients(struct job *job, const stralloc *list)
{
    for (size_t at = 0; at < list->len; at += strlen(list->s + at) + 1)
        injection_recipient(&job->injection, list->s + at);
}

static void
queue(struct job *job)
{
    struct injection_receipt receipt = {.text = STRALLOC_ZERO};
    bool wants_header =
        job->recipients_from == FROM_HEADER || job->recipients_from == FROM_BOTH ||
        (job->recipients_from == FROM_ARGUMENTS_OR_HEADER && !job->arguments.len);

    injection_sender(&job->injection, job->sender.s);
    put_recipients(job, &job->arguments);
    if (wants_header)
        put_recipients(job, inject_header_recipients(&job->header));
    if (injection_commit(&job->injection, &receipt))
        return;
    const char *reason = injection_reason(&receipt);
    if (injection_is_permanent(&receipt))
        die_perm(reason);
    die_later(reason);
}

int
main(int argc, char **argv)
{
    static struct job job;
    PROG = "qmail-inject";

    read_options(&job, argc, argv);
    settle(&job);
    injection_init_local(&job.injection);
    injection_start(&job.injection);
    read_arguments(&job, argv + optind);
    read_header(&job);
    choose_sender(&job);
    put_header(&job);
    put_body(&job);
    if (!job.prints)
        queue(&job);
    else if (!buffer_flush(buffer_1))
        die_temp("write", "message");
    return 0;
}
