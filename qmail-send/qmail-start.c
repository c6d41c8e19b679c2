/* qmail-start: connect the scheduler with the two programs that deliver, and become it.
 *
 * usage   qmail-start defaultdelivery [logger [argument ...]]
 *         defaultdelivery  .qmail lines for users without a .qmail file, as in ./Maildir/
 *         logger           gets as its stdin what the three write to stdout; is qmaill
 * stdout  the log of qmail-send
 * fds     qmail-send: 3 to qmail-lspawn, 4 to qmail-rspawn; for each of these it is 0
 * env     NOTIFY_FD: the descriptor on which qmail-send tells that it is ready
 * files   bin/qmail-send, bin/qmail-lspawn, bin/qmail-rspawn; control/accounts
 * exit    100 bad usage; 111 trouble; else that of qmail-send
 *
 *   qmail-start -+- fork -> qmail-lspawn defaultdelivery    (root)
 *                +- fork -> qmail-rspawn                    (qmailr)
 *                +- fork -> logger                          (qmaill)
 *                +- exec -> qmail-send                      (qmailq)
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <skalibs/exec.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "account.h"
#include "die.h"
#include "handoff.h"
#include "home.h"

enum {
    FD_LSPAWN = 3,
    FD_RSPAWN = 4,
    FD_FREE = 10, /* what we open ourselves lies from here on, out of the way */
};

static const char lspawn[] = "bin/qmail-lspawn";
static const char rspawn[] = "bin/qmail-rspawn";
static const char sender[] = "bin/qmail-send";

struct accounts {
    struct account queue;
    struct account remote;
    struct account log;
};

static void
find_account(struct account *account, const char *role)
{
    if (!account_find(account, role))
        die_temp("find the account", role);
}

/* Move *fd up, so that 3 and 4 are free; it is close-on-exec afterwards. */
static void
move_up(int *fd)
{
    int moved = fcntl(*fd, F_DUPFD_CLOEXEC, FD_FREE);
    if (moved < 0)
        die_temp("duplicate", "a descriptor");
    close(*fd);
    *fd = moved;
}

static void
make_pair(int pair[2])
{
    if (!handoff_pair(pair))
        die_temp("make", "a socket");
    move_up(&pair[0]);
    move_up(&pair[1]);
}

/* s6 gives its notification descriptor as number 3, say: move that too, and note where.
 * returns  the descriptor, or -1 */
static int
move_notification(void)
{
    const char *text = getenv("NOTIFY_FD");
    unsigned int number;
    char digits[UINT_FMT];

    bool is_open = text && uint0_scan(text, &number) &&
                   (fcntl((int)number, F_GETFD) >= 0 || errno != EBADF);
    if (!is_open) {
        (void)unsetenv("NOTIFY_FD");
        return -1;
    }
    int fd = (int)number;
    move_up(&fd);
    digits[uint_fmt(digits, (unsigned int)fd)] = '\0';
    if (setenv("NOTIFY_FD", digits, 1) < 0)
        die_temp("set", "NOTIFY_FD");
    return fd;
}

static void
become_program(const char *const *argv, const struct account *account)
{
    if (account && !account_become(account))
        die_temp("become another user for", argv[0]);
    exec(argv);
    die_temp("start", argv[0]);
}

/* Start a spawner with socket as its descriptor 0. account is null for root. */
static void
start_spawner(const char *const *argv, int socket, const struct account *account)
{
    pid_t pid = fork();
    if (pid < 0)
        die_temp("fork for", argv[0]);
    if (pid > 0)
        return;
    if (dup2(socket, 0) < 0)
        die_temp("connect", argv[0]);
    (void)unsetenv("NOTIFY_FD");
    become_program(argv, account);
}

/* Start the logger and let descriptor 1 lead to it. */
static void
start_logger(const char *const *argv, const struct account *account)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        die_temp("make", "a pipe");
    pid_t pid = fork();
    if (pid < 0)
        die_temp("fork for", argv[0]);
    if (pid == 0) {
        if (dup2(ends[0], 0) < 0)
            die_temp("connect", argv[0]);
        (void)unsetenv("NOTIFY_FD");
        become_program(argv, account);
    }
    if (dup2(ends[1], 1) < 0)
        die_temp("connect", argv[0]);
    close(ends[0]);
    close(ends[1]);
}

/* The scheduler's ends become 3 and 4, and survive exec. */
static void
become_scheduler(int local, int remote, int notification, const struct account *account)
{
    const char *const argv[] = {sender, NULL};
    if (dup2(local, FD_LSPAWN) < 0 || dup2(remote, FD_RSPAWN) < 0 ||
        (notification >= 0 && fcntl(notification, F_SETFD, 0) < 0))
        die_temp("connect", sender);
    become_program(argv, account);
}

int
main(int argc, const char *const *argv)
{
    struct accounts accounts;
    int local[2], remote[2];

    PROG = "qmail-start";
    if (argc < 2)
        die_usage("qmail-start defaultdelivery [logger [argument ...]]");
    if (!home_enter())
        die_temp("enter", home_path());
    find_account(&accounts.queue, "qmailq");
    find_account(&accounts.remote, "qmailr");
    find_account(&accounts.log, "qmaill");
    int notification = move_notification();
    if (argc > 2)
        start_logger(argv + 2, &accounts.log);
    make_pair(local);
    make_pair(remote);
    start_spawner((const char *const[]){lspawn, argv[1], NULL}, local[1], NULL);
    start_spawner((const char *const[]){rspawn, NULL}, remote[1], &accounts.remote);
    become_scheduler(local[0], remote[0], notification, &accounts.queue);
    return 111; /* not reached */
}
