/* qmail-lspawn: give local deliveries to qmail-local processes of the right user.
 *
 * usage   qmail-lspawn defaultdelivery
 *         defaultdelivery  what qmail-local does for a user without .qmail
 * stdin   the socket of qmail-send: jobs in, reports out
 * stderr  the log
 * env     QMAILHOME: the home. QMAILLOCAL: a program to run in place of bin/qmail-local,
 *         once per delivery, with its arguments; it gets the whole environment, while
 *         bin/qmail-local gets PATH, QMAILHOME, QMAILQUEUE and TZ only
 * files   users/cdb; control/sessions, control/sessionidle
 * runs    bin/qmail-local -S     as each user, its descriptor 0 a socket
 *         bin/qmail-getpw -S     as qmailp, when users/cdb has no answer
 * exit    0 qmail-send has gone; 100 bad usage; 111 cannot go on (memory, descriptors)
 * spec    qmail-users(5); not started as root, it delivers everything as this user
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "clock.h"
#include "die.h"
#include "home.h"
#include "spawn.h"
#include "spawn_report.h"
#include "text.h"
#include "user_directory.h"

enum {
    LOCAL_SESSIONS = 400,
    LOCAL_IDLE_S = 5,
    LOCAL_AHEAD = 1000000, /* qmail-local wants all that there is, to batch it */
    LOCAL_ARGUMENTS = 8,   /* user homedir local dash ext domain sender defaultdelivery */
};

struct local_role {
    struct user_directory directory;
    struct user user;
    stralloc local; /* the local part of the job at hand */
    const char *defaultdelivery;
    uint64_t suspect_before; /* messages with lower ids may have been delivered */
};

static enum spawn_answer
decide(struct spawn_job *job, const char *verdict)
{
    job->verdict = verdict;
    return SPAWN_DECIDED;
}

/* Queue ids are times. What was accepted before we began, or before a delivery process
 * was lost, may be in its Maildir although nobody has reported it. */
static bool
may_be_delivered(const struct local_role *role, const struct spawn_job *job)
{
    uint64_t id;
    return !uint640_scan(job->id, &id) || id < role->suspect_before;
}

static void
crashed(void *context)
{
    struct local_role *role = context;
    role->suspect_before = clock_real_us();
}

/* Write the handoff for qmail-local and the key of its process: its identity and nothing
 * else, as a process of the same uid and gid can do no more and no less. */
static bool
fill_in(const struct local_role *role, struct spawn_job *job)
{
    const struct user *user = &role->user;
    const char *domain = strrchr(job->recipients, '@') + 1;
    const char *const strings[] = {"job",
                                   job->number,
                                   job->id,
                                   user->name,
                                   user->homedir,
                                   role->local.s,
                                   user->dash,
                                   user->ext,
                                   domain,
                                   job->sender,
                                   role->defaultdelivery};

    job->identity = (struct account){.uid = user->uid, .gid = user->gid};
    job->key.len = 0;
    job->request.len = 0;
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        if (!text_append_string(&job->request, strings[i]))
            return false;
    if (may_be_delivered(role, job) && !text_append_string(&job->request, "again"))
        return false;
    return text_append_number(&job->key, user->uid) && text_append(&job->key, ":") &&
           text_append_number(&job->key, user->gid);
}

static enum spawn_answer
answer(struct local_role *role, struct spawn_job *job, enum user_status status)
{
    if (status == USER_WAIT)
        return SPAWN_WAITS;
    if (status == USER_ERROR)
        return decide(job, errno == EPROTO ? "Ztrouble reading users/cdb (#4.3.0)\n"
                                           : "Zunable to look up the user (#4.3.0)\n");
    if (role->user.uid == 0)
        return decide(job, "Znot allowed to perform deliveries as root (#4.3.0)\n");
    if (!fill_in(role, job))
        return decide(job, "Zout of memory (#4.3.0)\n");
    return SPAWN_READY;
}

static bool
split_local(struct local_role *role, const struct spawn_job *job)
{
    const char *at = strrchr(job->recipients, '@');
    return text_copy_bytes(&role->local, job->recipients, (size_t)(at - job->recipients));
}

static enum spawn_answer
prepare(void *context, struct spawn_job *job)
{
    struct local_role *role = context;

    if (job->recipient_count != 1)
        return decide(job, "Zqmail-lspawn got a job for several recipients (#4.3.0)\n");
    if (!strrchr(job->recipients, '@'))
        return decide(job, "Dthis address does not include a host name (#5.1.3)\n");
    if (!split_local(role, job))
        return decide(job, "Zout of memory (#4.3.0)\n");
    if (!role->local.len)
        return decide(job, "K"); /* "@host": mail for nobody is thrown away, as always */
    return answer(role, job,
                  user_directory_ask(&role->directory, role->local.s, &role->user));
}

static enum spawn_answer
collect(void *context, struct spawn_job *job)
{
    struct local_role *role = context;
    enum user_status status = user_directory_collect(&role->directory, &role->user);
    if (status == USER_FOUND && !split_local(role, job))
        status = USER_ERROR;
    return answer(role, job, status);
}

static int
wait_socket(void *context)
{
    const struct local_role *role = context;
    return role->directory.helper_socket;
}

static void
warn(const char *text, const char *object)
{
    strerr_warnw(text, " ", object);
}

static const struct spawn_role local_deliveries = {
    .name = "qmail-local",
    .program = "bin/qmail-local",
    .classic_first = "--",
    .classic_shared = LOCAL_ARGUMENTS,
    .classic_report = spawn_report_append_local,
    .limits = {.per_key = 1,
               .total = LOCAL_SESSIONS,
               .ahead = LOCAL_AHEAD,
               .idle_s = LOCAL_IDLE_S},
    .prepare = prepare,
    .collect = collect,
    .wait_socket = wait_socket,
    .crashed = crashed,
    .warn = warn,
};

int
main(int argc, char **argv)
{
    PROG = "qmail-lspawn";
    struct local_role local = {.local = STRALLOC_ZERO};
    const char *classic = getenv("QMAILLOCAL");
    struct spawn_role role = local_deliveries;

    if (argc != 2)
        die_usage("qmail-lspawn defaultdelivery");
    if (!home_enter())
        die_temp("enter", home_path());
    if (!spawn_read_limits(&role.limits))
        die_temp("read", "control/sessions or control/sessionidle");
    user_directory_init(&local.directory);
    local.defaultdelivery = argv[1];
    local.suspect_before = clock_real_us();
    if (classic && *classic)
        role.classic = classic;
    role.context = &local;
    if (!spawn_run(&role))
        die_temp("go on with", "descriptor 0");
    user_directory_free(&local.directory);
    user_free(&local.user);
    stralloc_free(&local.local);
    return 0;
}
