/* qmail-queued: take messages into the queue, many at a time, with shared flushes.
 *
 * usage   qmail-queued [-c clients] [-d fd]
 *         clients   how many may be connected at the same time (1000)
 *         fd        gets a newline once the socket listens (s6 readiness notification)
 * stdin   unused
 * stdout  unused
 * stderr  log lines
 * env     QMAILHOME
 * files   queue/inject         the socket: anybody hands over messages (lib/injection.h)
 *         queue/trigger        qmail-send hears the ids of new messages here
 *         queue/mess/N/id      one file per message, queue-file(5)
 *         queue/drop           messages left while this program was not running
 *         queue/taking/id.name one of these while it is taken in
 *         queue/bad            what was found incomplete after a crash
 *         queue/lock-queued    held by the one qmail-queued of this home; its text is the
 *                              id below which nothing can be incomplete
 *         control/accounts     other names for the accounts
 *         control/flush        "shared": one flush for many messages; "file": one each
 * process becomes qmailq when started as root. Helpers: one waits for the disk, one
 *         verifies old files and takes in queue/drop; one per large message, at most 4
 *         for accounts of ours and 4 for all others
 * signals TERM: finish what is being flushed, answer, exit. ALRM: look into queue/drop
 * exit    0 after TERM; 100 usage, or control/flush says something else; 111 trouble
 * spec    queue-file(5); lib/injection.h: requests and answers
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <skalibs/sgetopt.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "account.h"
#include "control.h"
#include "die.h"
#include "home.h"
#include "queue_folders.h"
#include "server.h"

enum {
    CLIENTS_DEFAULT = 1000,
    CLIENTS_MAX = 100000,
    FDS_OF_CLIENT = 3, /* connection, its file, what it hands over */
    FDS_OTHER = 150,   /* folders, helpers, a packet full of descriptors */
};

static const char usage[] = "qmail-queued [-c clients] [-d fd]";

static void
read_options(struct server_options *options, int argc, const char *const *argv)
{
    subgetopt state = SUBGETOPT_ZERO;
    int letter;

    while ((letter = subgetopt_r(argc, argv, "c:d:", &state)) != -1) {
        unsigned int *number = letter == 'c' ? &options->client_max : &options->ready_fd;
        if ((letter != 'c' && letter != 'd') || !uint0_scan(state.arg, number) ||
            !*number)
            die_usage(usage);
    }
    if (state.ind != argc || options->client_max > CLIENTS_MAX)
        die_usage(usage);
}

/* Who is called what in the Received line. In single-user mode nobody is. */
static void
find_roles(struct server_options *options)
{
    static const char *const names[SERVER_ROLES] = {"qmaild", "alias", "qmailq"};
    static const char *const texts[SERVER_ROLES] = {"from network", "by alias",
                                                    "for bounce"};
    struct account queue, found;

    if (!account_lookup(&queue, "qmailq") ||
        (account_is_single_user() && queue.uid != geteuid()))
        return;
    for (int i = 0; i < SERVER_ROLES; i++)
        if (account_lookup(&found, names[i]))
            options->roles[i] = (struct server_role){.uid = found.uid, .text = texts[i]};
}

static void
read_flush(struct server_options *options)
{
    stralloc word = STRALLOC_ZERO;
    enum control_status status = control_read_line(&word, "control/flush");

    if (status == CONTROL_ERROR)
        die_temp("read", "control/flush");
    options->is_each_file = status == CONTROL_FOUND && strcmp(word.s, "file") == 0;
    if (status == CONTROL_FOUND && word.len && !options->is_each_file &&
        strcmp(word.s, "shared") != 0)
        die_perm("control/flush says neither shared nor file");
    stralloc_free(&word);
}

static void
become_queue_owner(void)
{
    struct account account;
    if (!account_find(&account, "qmailq") || !account_become(&account))
        die_temp("become", "qmailq");
}

/* As many descriptors as we may have; fewer clients if these are too few. */
static void
fit_to_descriptors(struct server_options *options)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        die_temp("read", "the limit of descriptors");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        die_temp("raise", "the limit of descriptors");
    rlim_t room = limit.rlim_cur > FDS_OTHER ? limit.rlim_cur - FDS_OTHER : 0;
    if (room / FDS_OF_CLIENT < options->client_max)
        options->client_max = (unsigned int)(room / FDS_OF_CLIENT);
    if (!options->client_max) {
        errno = EMFILE;
        die_temp("serve with so low", "a limit of descriptors");
    }
}

static void
lock_queue(struct server_options *options)
{
    options->lock = open("queue/lock-queued", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (options->lock < 0)
        die_temp("open", "queue/lock-queued");
    if (flock(options->lock, LOCK_EX | LOCK_NB) < 0)
        die_temp("lock (does another qmail-queued run?)", "queue/lock-queued");
}

int
main(int argc, const char *const *argv)
{
    PROG = "qmail-queued";
    struct server_options options = {.client_max = CLIENTS_DEFAULT};

    read_options(&options, argc, argv);
    if (!home_enter())
        die_temp("enter", home_path());
    read_flush(&options);
    find_roles(&options);
    become_queue_owner();
    umask(077);
    fit_to_descriptors(&options);
    lock_queue(&options);
    if (!queue_folders_make())
        die_temp("make the folders of", "queue");
    const char *failed = server_run(&options);
    if (failed)
        die_temp(failed, "(qmail-queued ends)");
    return 0;
}
