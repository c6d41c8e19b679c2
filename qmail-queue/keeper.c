#include "keeper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include <sys/eventfd.h>
#include <sys/file.h>

#include <skalibs/djbunix.h>
#include <skalibs/types.h>

#include "aside.h"
#include "drop_take.h"
#include "exitcode.h"
#include "handoff.h"
#include "helper.h"
#include "next_entry.h"
#include "queue_file.h"
#include "report.h"
#include "verify.h"

enum { ROUND_MS = 30 * 1000 /* between two looks into queue/drop */ };

/* ---- verify what a crash may have torn */

/* A file that does not check was never accepted: its client got no answer. Only now look
 * whether somebody is still writing it, so that a sound file is never locked here. */
static void
judge_torn(struct queue_file *file, int fd, const char *path, const char *name)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 &&
        verify_queue_file(fd, file) == QUEUE_FILE_TORN)
        (void)aside_move(path, "", name);
}

static void
verify(struct queue_file *file, const char *path, const char *name)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        if (errno != ENOENT)
            report_error("unable to open", path);
        return;
    }
    enum queue_file_status status = verify_queue_file(fd, file);
    if (status == QUEUE_FILE_ERROR)
        report_error("unable to read", path);
    else if (status == QUEUE_FILE_TORN)
        judge_torn(file, fd, path, name);
    fd_close(fd);
}

static void
verify_folder(struct queue_file *file, unsigned int folder,
              const struct keeper_task *task)
{
    char path[QUEUE_FILE_PATH_MAX];
    const struct dirent *found;
    uint64_t id;

    snprintf(path, sizeof path, "queue/mess/%u", folder);
    DIR *directory = opendir(path);
    if (!directory) {
        report_error("unable to open", path);
        return;
    }
    while ((found = next_entry(directory))) {
        if (!uint640_scan(found->d_name, &id) || id < task->settled ||
            id >= task->started)
            continue;
        queue_file_path(path, id);
        verify(file, path, found->d_name);
    }
    if (errno) {
        snprintf(path, sizeof path, "queue/mess/%u", folder);
        report_error("unable to read", path);
    }
    closedir(directory);
}

/* ---- the process */

/* Until the next look into queue/drop is due, or asked for. */
static void
wait_for_round(int socket, int look)
{
    struct pollfd events[] = {{.fd = socket, .events = POLLIN},
                              {.fd = look, .events = POLLIN}};
    eventfd_t count;

    if (poll(events, sizeof events / sizeof *events, ROUND_MS) <= 0)
        return;
    if (events[0].revents)
        _exit(0); /* qmail-queued says nothing unasked: this is its end */
    if (eventfd_read(look, &count) < 0)
        report_error("unable to read", "the wish for a look into queue/drop");
}

static _Noreturn void
serve(int socket, int look, const struct keeper_task *task)
{
    struct queue_file file = {.message_len = 0};
    struct drop_take take = {
        .options = task->options, .mount = task->mount, .socket = socket};
    struct handoff_parts all_verified = {.strings = "settled",
                                         .strings_len = sizeof "settled"};

    if (nice(10) == -1)
        errno = 0; /* it is only a courtesy */
    for (unsigned int folder = 0; folder < QUEUE_FILE_SPLIT; folder++)
        verify_folder(&file, folder, task);
    stralloc_free(&file.envelope);
    if (handoff_send(socket, &all_verified) != HANDOFF_DONE)
        _exit(0);
    if (!drop_take_begin(&take)) {
        report_error("unable to lock", "queue/taking");
        _exit(EXITCODE_TEMPORARY);
    }
    for (;;) {
        drop_take_round(&take);
        wait_for_round(socket, look);
    }
}

bool
keeper_start(struct keeper *keeper, const struct keeper_task *task)
{
    int ends[2];

    keeper->look = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (keeper->look < 0 || !handoff_pair(ends))
        return false;
    int fds[] = {ends[1], keeper->look};
    keeper->pid = helper_fork(fds, 2);
    if (keeper->pid == 0)
        serve(fds[0], fds[1], task);
    fd_close(ends[1]);
    keeper->socket = ends[0];
    if (keeper->pid > 0 && ndelay_on(keeper->socket) == 0)
        return true;
    fd_close(keeper->socket);
    return false;
}

void
keeper_look(const struct keeper *keeper)
{
    if (keeper->look >= 0)
        (void)eventfd_write(keeper->look, 1); /* full: then it has enough wishes */
}

void
keeper_forget(struct keeper *keeper)
{
    if (keeper->look >= 0)
        fd_close(keeper->look);
    keeper->look = -1;
    keeper->pid = -1;
}
