/* qmail-rspawn: give deliveries to qmail-remote processes, one or more per destination.
 *
 * usage   qmail-rspawn
 * stdin   the socket of qmail-send: jobs in, reports out
 * stderr  the log
 * env     QMAILHOME: the home. QMAILREMOTE: a program to run in place of
 *         bin/qmail-remote, once per recipient, with its arguments; it gets the whole
 *         environment, bin/qmail-remote only PATH, QMAILHOME, QMAILQUEUE and TZ
 * files   control/sessions, control/sessionidle, control/sessionsdestination
 * runs    bin/qmail-remote -S     its descriptor 0 a socket
 * exit    0 qmail-send has gone; 100 bad usage; 111 cannot go on (memory, descriptors)
 */

#include <errno.h>
#include <stdlib.h>

#include <skalibs/strerr.h>

#include "account.h"
#include "control.h"
#include "die.h"
#include "home.h"
#include "spawn.h"
#include "spawn_report.h"
#include "text.h"

enum {
    REMOTE_SESSIONS = 400,
    REMOTE_PER_DESTINATION = 10,
    REMOTE_PER_DESTINATION_MAX = 10000,
    REMOTE_AHEAD = 2, /* enough that a connection never waits for us */
    REMOTE_IDLE_S = 5,
    REMOTE_ARGUMENTS = 2, /* host sender, then the recipient */
};

static enum spawn_answer
prepare(void *context, struct spawn_job *job)
{
    const struct account *identity = context;
    size_t before_recipients = (size_t)(job->recipients - job->strings.s);

    job->identity = *identity;
    job->request.len = 0;
    if (text_copy(&job->key, *job->destination ? job->destination : job->host) &&
        text_append_string(&job->request, "job") &&
        text_append_string(&job->request, job->number) &&
        text_append_string(&job->request, job->id) &&
        text_append_string(&job->request, job->host) &&
        text_append_string(&job->request, job->sender) &&
        text_append_bytes(&job->request, job->recipients,
                          job->strings.len - before_recipients))
        return SPAWN_READY;
    job->verdict = "Zout of memory (#4.3.0)\n";
    return SPAWN_DECIDED;
}

static enum spawn_answer
collect(void *context, struct spawn_job *job)
{
    return prepare(context, job); /* not called: prepare never waits */
}

static int
wait_socket(void *context)
{
    (void)context;
    return -1;
}

static void
warn(const char *text, const char *object)
{
    strerr_warnw(text, " ", object);
}

static void
read_limits(struct spawn_limits *limits)
{
    uint64_t count = REMOTE_PER_DESTINATION;
    if (!spawn_read_limits(limits))
        die_temp("read", "control/sessions or control/sessionidle");
    if (control_read_number(&count, "control/sessionsdestination") == CONTROL_ERROR)
        die_temp("read", "control/sessionsdestination");
    if (count < 1)
        count = 1;
    limits->per_key = count < REMOTE_PER_DESTINATION_MAX ? (unsigned int)count
                                                         : REMOTE_PER_DESTINATION_MAX;
}

static const struct spawn_role remote_deliveries = {
    .name = "qmail-remote",
    .program = "bin/qmail-remote",
    .classic_shared = REMOTE_ARGUMENTS,
    .classic_recipient = true,
    .classic_report = spawn_report_append_remote,
    .limits = {.total = REMOTE_SESSIONS,
               .ahead = REMOTE_AHEAD,
               .in_order = true,
               .idle_s = REMOTE_IDLE_S},
    .prepare = prepare,
    .collect = collect,
    .wait_socket = wait_socket,
    .warn = warn,
};

int
main(int argc, char **argv)
{
    PROG = "qmail-rspawn";
    struct account identity;
    const char *classic = getenv("QMAILREMOTE");
    struct spawn_role role = remote_deliveries;

    (void)argv;
    if (argc != 1)
        die_usage("qmail-rspawn");
    if (!home_enter())
        die_temp("enter", home_path());
    /* qmail-start has made us qmailr; started by root, we see to it ourselves */
    if (!account_find(&identity, "qmailr") || !account_become(&identity))
        die_temp("become", "qmailr");
    read_limits(&role.limits);
    if (classic && *classic)
        role.classic = classic;
    role.context = &identity;
    if (!spawn_run(&role))
        die_temp("go on with", "descriptor 0");
    return 0;
}
