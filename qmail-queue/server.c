#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <skalibs/selfpipe.h>
#include <skalibs/sig.h>
#include <skalibs/types.h>

#include "batch.h"
#include "clock.h"
#include "connection.h"
#include "copier.h"
#include "report.h"
#include "request.h"
#include "source.h"

enum {
    KEEPER = 0, /* its place among the clients */
    EVENTS = 64,
    CHORE_MS = 100, /* how soon something that failed is tried again */
    KEEPER_AGAIN_S = 60,
    SETTLED_EVERY_S = 10,
    SETTLED_LEN = 21, /* 20 digits and a newline */
};

static int64_t
now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return now.tv_sec;
}

void
server_report(struct server *server, const char *what, const struct entry *entry)
{
    char path[QUEUE_FILE_PATH_MAX];
    int saved = errno;

    if (server->reported_s != now_s()) {
        server->reported_s = now_s();
        queue_file_path(path, entry->id);
        errno = saved;
        report_error(what, path);
    }
    errno = saved;
}

const char *
server_role(const struct server_options *options, uid_t uid)
{
    for (int i = 0; i < SERVER_ROLES; i++)
        if (options->roles[i].text && options->roles[i].uid == uid)
            return options->roles[i].text;
    return NULL;
}

bool
server_watch(const struct server *server, int fd, uint32_t tag, uint32_t events)
{
    struct epoll_event event = {.events = events, .data = {.u32 = tag}};
    return epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* ---- what is known to be settled */

/* Every id below the one in the lock file belongs to a message that is on the disk or
 * gone, so that after a crash only what is younger has to be verified. */
static void
write_settled(struct server *server)
{
    char text[SETTLED_LEN + 1];
    uint64_t settled = server->last_id + 1;

    if (!server->is_verified || now_s() < server->settled_next_s)
        return;
    server->settled_next_s = now_s() + SETTLED_EVERY_S;
    for (unsigned int i = 0; i <= server->options->client_max; i++) {
        const struct client *client = &server->clients[i];
        bool has_file = client->state >= CLIENT_COPY_WAITS && client->entry.file >= 0;
        if (has_file && client->entry.id < settled)
            settled = client->entry.id;
    }
    if (settled > server->settled_limit)
        settled = server->settled_limit;
    if (settled <= server->settled)
        return;
    snprintf(text, sizeof text, "%020" PRIu64 "\n", settled);
    if (pwrite(server->options->lock, text, SETTLED_LEN, 0) == SETTLED_LEN)
        server->settled = settled;
}

/* Anything but 20 digits counts as "nothing is settled": more work, no harm. */
static uint64_t
read_settled(int lock)
{
    char text[SETTLED_LEN + 1] = "";
    uint64_t settled;

    if (pread(lock, text, SETTLED_LEN, 0) != SETTLED_LEN || text[SETTLED_LEN - 1] != '\n')
        return 0;
    text[SETTLED_LEN - 1] = '\0';
    return uint640_scan(text, &settled) ? settled : 0;
}

/* ---- helpers and signals */

static bool
start_keeper(struct server *server)
{
    const struct keeper_task task = {.options = server->options,
                                     .mount = server->mount,
                                     .settled = server->settled,
                                     .started = server->last_id + 1};
    if (!keeper_start(&server->keeper, &task))
        return false;
    if (connection_enter(server, KEEPER, server->keeper.socket)) {
        server->clients[KEEPER].is_keeper = server->clients[KEEPER].is_trusted = true;
        return true;
    }
    close(server->keeper.socket);
    return false;
}

/* A keeper that stumbles must not take the queue down: another one, after a while. */
static void
keeper_ended(struct server *server)
{
    report_text("error: the helper that verifies and takes in queue/drop has ended");
    keeper_forget(&server->keeper);
    server->keeper_again_s = now_s() + KEEPER_AGAIN_S;
    server->trigger.wants_scan = true; /* perhaps it could not tell of its last message */
}

/* returns false when the flusher has died */
static bool
reap(struct server *server)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == server->flusher.pid)
            return false;
        if (pid == server->keeper.pid)
            keeper_ended(server);
        else
            copier_ended(server, pid, status);
    }
    return true;
}

static bool
take_signals(struct server *server)
{
    for (;;) {
        switch (selfpipe_read()) {
        case 0:
            return true;
        case SIGTERM:
        case SIGINT:
            server->is_stopping = true;
            break;
        case SIGALRM:
            keeper_look(&server->keeper);
            server->keeper_again_s = 0;
            break;
        case SIGCHLD:
            if (!reap(server))
                return false;
            break;
        default:
            break;
        }
    }
}

/* ---- the loop */

static bool
dispatch(struct server *server, uint32_t tag)
{
    switch (tag) {
    case SERVER_LISTENER:
        connection_accept(server);
        return true;
    case SERVER_SIGNAL:
        return take_signals(server);
    case SERVER_FLUSHER:
        return batch_collect(server);
    case SERVER_TIMER:
        batch_timer(server);
        return true;
    default:
        if (server->clients[tag].state != CLIENT_FREE)
            connection_news(server, &server->clients[tag]);
        return true;
    }
}

/* Try again what failed for a while. returns true when nothing of this kind is left */
static bool
do_chores(struct server *server)
{
    bool is_done = true;

    if ((server->trigger.ids.len || server->trigger.wants_scan) &&
        !trigger_send(&server->trigger))
        is_done = false;
    if (server->keeper.pid < 0 && !server->is_stopping) {
        is_done = false;
        if (now_s() >= server->keeper_again_s &&
            server->clients[KEEPER].state == CLIENT_FREE && !start_keeper(server))
            keeper_ended(server);
    }
    write_settled(server);
    return is_done;
}

/* Look for new clients again when there is a place; out of descriptors, a little
 * later, since the listening socket would wake us at once. returns false when
 * it has to be later */
static bool
accept_again(struct server *server, bool is_quiet)
{
    if (server->is_accepting || server->is_stopping ||
        server->client_count >= server->options->client_max)
        return true;
    if (server->accept_pauses && !is_quiet)
        return false;
    server->accept_pauses = false;
    connection_listen(server, true);
    return true;
}

/* After SIGTERM: no new requests; what has been written is flushed and answered. */
static bool
has_stopped(struct server *server)
{
    if (server->listener >= 0) {
        handoff_drop(server->listener);
        server->listener = -1;
        server->is_accepting = false;
        copier_stop_all(server);
    }
    return !server->written.count && !server->flushing.count && !server->copier_count;
}

static const char *
loop(struct server *server)
{
    struct epoll_event events[EVENTS];

    for (bool is_done = true;;) {
        if (server->is_stopping && has_stopped(server))
            return NULL;
        bool has_more = server->again.count && !server->is_stopping;
        int timeout = has_more ? 0 : is_done ? -1 : CHORE_MS;
        int count = epoll_wait(server->epoll, events, EVENTS, timeout);
        if (count < 0 && errno != EINTR)
            return "wait for events";
        for (int i = 0; i < count; i++)
            if (!dispatch(server, events[i].data.u32))
                return "go on without the flusher";
        if (!server->is_stopping)
            connection_again(server);
        if (!batch_start(server))
            return "reach the flusher";
        is_done = do_chores(server);
        is_done = accept_again(server, count == 0) && is_done;
    }
}

/* ---- the start */

static bool
open_folders(struct server *server)
{
    char path[QUEUE_FILE_PATH_MAX];

    for (unsigned int i = 0; i < QUEUE_FILE_SPLIT; i++) {
        snprintf(path, sizeof path, "queue/mess/%u", i);
        server->folders[i] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (server->folders[i] < 0)
            return false;
    }
    server->mount = source_mount(server->folders[0]);
    return true;
}

static bool
catch_signals(struct server *server)
{
    int fd = selfpipe_init();
    return fd >= 0 && selfpipe_trap(SIGTERM) >= 0 && selfpipe_trap(SIGINT) >= 0 &&
           selfpipe_trap(SIGCHLD) >= 0 && selfpipe_trap(SIGALRM) >= 0 &&
           sig_ignore(SIGPIPE) >= 0 && sig_ignore(SIGXFSZ) >= 0 &&
           sig_ignore(SIGHUP) >= 0 && server_watch(server, fd, SERVER_SIGNAL, EPOLLIN);
}

static bool
say_ready(const struct server_options *options)
{
    if (!options->ready_fd)
        return true;
    bool ok = write((int)options->ready_fd, "\n", 1) == 1;
    close((int)options->ready_fd);
    return ok;
}

/* Everything but the listening socket. returns null, or what failed */
static const char *
prepare(struct server *server)
{
    /* The last id of an earlier life need not be known: ids are times, and O_EXCL
     * catches a clock that was set back. But what comes now must be told from
     * what was there before. */
    server->last_id = clock_real_us();
    server->settled = read_settled(server->options->lock);
    if (!server->buffer || !server->clients)
        return "allocate memory";
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (server->epoll < 0 || !catch_signals(server) || !batch_init(server))
        return "catch signals";
    if (!open_folders(server))
        return "open the folders of queue/mess";
    if (!trigger_open(&server->trigger) ||
        !flusher_start(&server->flusher, server->options->is_each_file) ||
        !server_watch(server, server->flusher.socket, SERVER_FLUSHER, EPOLLIN))
        return "start the flusher";
    return start_keeper(server) ? NULL : "start the keeper";
}

const char *
server_run(const struct server_options *options)
{
    struct server server = {
        .options = options,
        .settled_limit = UINT64_MAX,
        .buffer = malloc(SERVER_BUFFER),
        .clients = calloc(options->client_max + 1, sizeof *server.clients),
    };
    const char *failed = prepare(&server);

    if (!failed) {
        server.listener = handoff_listen("queue/inject", 0666);
        server.is_accepting =
            server.listener >= 0 &&
            server_watch(&server, server.listener, SERVER_LISTENER, EPOLLIN);
        if (!server.is_accepting)
            failed = "listen at queue/inject";
        else if (!say_ready(options))
            failed = "write to the descriptor of -d";
        else
            failed = loop(&server);
    }
    free(server.clients);
    free(server.buffer);
    return failed;
}
