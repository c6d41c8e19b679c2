/* qmail-send: decide when and where each queued message goes; tell senders of failures.
 *
 * usage   qmail-send, started by qmail-start
 * stdin   not used
 * stdout  the log: one event per line, written once per turn of the main loop
 * fds     3 qmail-lspawn, 4 qmail-rspawn: handoff sockets for jobs and reports
 * env     NOTIFY_FD: a descriptor that gets "\n" once new messages can be told
 * files   control/: config.c; queue/mess: the messages; queue/bad: what is none;
 *         queue/trigger: qmail-queued tells ids; queue/control: operators;
 *         queue/inject: bounces; queue/send.lock: one qmail-send at a time
 * signals TERM finish what runs, then exit; ALRM try all now; HUP read control/ anew
 * exit    0 after TERM; 100 bad usage; 111 trouble, or a spawner is gone: start all again
 * spec    retry schedule, log lines and QSBMF notices of qmail; RFC 3463 codes in reports
 *
 *   main -> poll -> trigger_receive, delivery_receive, bounce_receive, operator_receive
 *        -> work_slice -> delivery_dispatch, pass_settle; bounce_work; scan_slice
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/stat.h>

#include <skalibs/selfpipe.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "delivery.h"
#include "die.h"
#include "home.h"
#include "operator.h"
#include "pass.h"
#include "send.h"
#include "trigger.h"
#include "work.h"

enum {
    FD_LSPAWN = 3,
    FD_RSPAWN = 4,
    LAST_BOUNCES_S = 10, /* after TERM the queue has so long to take the last bounces */
    POLL_MAX_S = 600,
};

enum poll_index {
    POLL_SIGNALS,
    POLL_TRIGGER,
    POLL_CONTROL,
    POLL_CHANNELS,
    POLL_BOUNCES = POLL_CHANNELS + CHANNELS,
    POLL_OPERATORS = POLL_BOUNCES + BOUNCE_SLOTS,
    POLL_COUNT = POLL_OPERATORS + OPERATORS_MAX,
};

static void
set_limits(struct send *send)
{
    send->channels[CHANNEL_LOCAL].limit = send->config.concurrencylocal;
    send->channels[CHANNEL_REMOTE].limit = send->config.concurrencyremote;
}

static void
read_clock(struct send *send)
{
    send->now_s = (uint64_t)time(NULL);
}

/* Only one qmail-send may work on a queue: two would deliver everything twice. */
static void
lock_queue(void)
{
    int fd = open("queue/send.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        die_temp("open", "queue/send.lock");
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        die_temp("lock (another qmail-send is running)", "queue/send.lock");
}

static void
open_sockets(struct send *send)
{
    static const int spawners[CHANNELS] = {FD_LSPAWN, FD_RSPAWN};
    for (int i = 0; i < CHANNELS; i++) {
        struct stat status;
        send->channels[i].socket = spawners[i];
        if (fstat(spawners[i], &status) < 0 || !S_ISSOCK(status.st_mode))
            die_perm("descriptors 3 and 4 are not the spawners; qmail-start starts me");
        if (fcntl(spawners[i], F_SETFD, FD_CLOEXEC) < 0 ||
            fcntl(spawners[i], F_SETFL, O_RDWR | O_NONBLOCK) < 0)
            die_temp("prepare", "a spawner's socket");
    }
    send->trigger = trigger_listen();
    if (send->trigger < 0)
        die_temp("bind", "queue/trigger");
    send->control = handoff_listen("queue/control", 0600);
    if (send->control < 0)
        die_temp("bind", "queue/control");
    for (int i = 0; i < OPERATORS_MAX; i++)
        send->operators[i] = -1;
}

static int
catch_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGALRM);
    sigaddset(&set, SIGHUP);
    int fd = selfpipe_init();
    if (fd < 0 || selfpipe_trapset(&set) < 0)
        die_temp("catch", "signals");
    return fd;
}

static void
begin(struct send *send)
{
    const char *bad_file;
    if (!home_enter())
        die_temp("enter", home_path());
    lock_queue();
    if (!config_read(&send->config, &bad_file))
        die_temp("read", bad_file);
    set_limits(send);
    if (!destination_table_init(&send->destinations))
        die_temp("allocate", "the table of destinations");
    open_sockets(send);
    bounce_desk_init(&send->bounces);
    send->next_number = 1;
    send->scan.is_wanted = true;
    read_clock(send);
    delivery_log_status(send);
}

/* s6 and others wait for this newline. One that waits in vain would take us for starting
 * for ever: begin anew. */
static void
notify_ready(void)
{
    const char *text = getenv("NOTIFY_FD");
    unsigned int fd;
    if (!text || !uint0_scan(text, &fd))
        return;
    if (write((int)fd, "\n", 1) < 0)
        die_temp("tell", "that we are ready");
    close((int)fd);
}

static void
reread_config(struct send *send)
{
    const char *bad_file;
    if (config_read(&send->config, &bad_file)) {
        set_limits(send);
        delivery_log_status(send);
        return;
    }
    event_log_text(&send->log, "alert: unable to reread ");
    event_log_line(&send->log, bad_file, errno);
}

static void
receive_signals(struct send *send)
{
    int number;
    while ((number = selfpipe_read()) > 0) {
        if (number == SIGTERM && !send->is_exiting) {
            send->is_exiting = true;
            send->exit_s = send->now_s + LAST_BOUNCES_S;
            delivery_log_status(send);
            pass_stop(send);
        } else if (number == SIGALRM) {
            work_all_due(send);
        } else if (number == SIGHUP) {
            reread_config(send);
        }
    }
}

static void
want(struct pollfd *entry, int fd, short events)
{
    *entry = (struct pollfd){.fd = fd, .events = events};
}

static void
prepare_poll(const struct send *send, struct pollfd *entries, int signals)
{
    want(&entries[POLL_SIGNALS], signals, POLLIN);
    want(&entries[POLL_TRIGGER], send->is_exiting ? -1 : send->trigger, POLLIN);
    want(&entries[POLL_CONTROL], send->control, POLLIN);
    for (int i = 0; i < CHANNELS; i++)
        want(&entries[POLL_CHANNELS + i], send->channels[i].socket,
             send->channels[i].is_blocked ? POLLIN | POLLOUT : POLLIN);
    for (int i = 0; i < BOUNCE_SLOTS; i++) {
        const struct bounce_slot *slot = &send->bounces.slots[i];
        want(&entries[POLL_BOUNCES + i], slot->mail ? slot->injection.socket : -1,
             POLLIN);
    }
    for (int i = 0; i < OPERATORS_MAX; i++)
        want(&entries[POLL_OPERATORS + i], send->operators[i], POLLIN);
}

/* Until when may we sleep, in milliseconds from now? */
static int
sleep_ms(const struct send *send)
{
    uint64_t until_s = work_next_s(send);
    uint64_t bounce_s = bounce_next_s(&send->bounces);
    if (work_is_pending(send))
        return 0;
    if (bounce_s < until_s)
        until_s = bounce_s;
    if (send->is_exiting && send->exit_s < until_s)
        until_s = send->exit_s;
    if (until_s <= send->now_s)
        return 0;
    uint64_t left_s = until_s - send->now_s;
    return (int)(left_s < POLL_MAX_S ? left_s : POLL_MAX_S) * 1000;
}

static void
receive_all(struct send *send, const struct pollfd *entries)
{
    if (entries[POLL_SIGNALS].revents)
        receive_signals(send);
    for (int i = 0; i < CHANNELS; i++) {
        if (entries[POLL_CHANNELS + i].revents & POLLOUT)
            send->channels[i].is_blocked = false;
        if (entries[POLL_CHANNELS + i].revents & ~POLLOUT)
            delivery_receive(send, i);
    }
    for (size_t i = 0; i < BOUNCE_SLOTS; i++)
        if (entries[POLL_BOUNCES + i].revents)
            bounce_receive(send, i);
    if (entries[POLL_TRIGGER].revents)
        trigger_receive(send);
    for (size_t i = 0; i < OPERATORS_MAX; i++)
        if (entries[POLL_OPERATORS + i].revents)
            operator_receive(send, i);
    if (entries[POLL_CONTROL].revents)
        operator_accept(send);
}

static bool
is_over(const struct send *send)
{
    if (send->is_fatal)
        return true;
    if (!send->is_exiting)
        return false;
    for (int i = 0; i < CHANNELS; i++)
        if (send->channels[i].job_count)
            return false;
    /* the next qmail-send finds an untold failure again: its recipient is not done */
    return bounce_is_idle(&send->bounces) || send->now_s >= send->exit_s;
}

/* One turn of the main loop: first what others told us, then a slice of our own work. */
static void
turn(struct send *send, int signals)
{
    struct pollfd entries[POLL_COUNT];
    if (!event_log_flush(&send->log))
        die_temp("write", "the log");
    prepare_poll(send, entries, signals);
    if (poll(entries, POLL_COUNT, sleep_ms(send)) < 0) {
        if (errno != EINTR)
            die_temp("wait for", "events");
        return;
    }
    read_clock(send);
    receive_all(send, entries);
    work_slice(send);
    bounce_work(send);
    if (!send->is_exiting)
        scan_slice(send);
}

int
main(int argc, char **argv)
{
    static struct send send;
    PROG = "qmail-send";
    (void)argv;
    if (argc != 1)
        die_usage("qmail-send (qmail-start starts it)");
    (void)unsetenv("QMAILQUEUE");
    int signals =
        catch_signals(); /* first: ALRM from now on is obeyed, and ends nothing */
    begin(&send);
    notify_ready();
    while (!is_over(&send))
        turn(&send, signals);
    if (!send.is_fatal)
        event_log_line(&send.log, "status: exiting", 0);
    if (!event_log_flush(&send.log) || send.is_fatal)
        return 111;
    return 0;
}
