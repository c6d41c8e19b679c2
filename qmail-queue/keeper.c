#include "keeper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include <skalibs/djbunix.h>
#include <skalibs/types.h>

#include "drop_take.h"
#include "helper.h"
#include "keeper_work.h"
#include "report.h"

enum { ROUND_MS = 30 * 1000 /* between two looks into queue/drop */ };

/* ---- verify what a crash may have torn */

static void
verify(struct keeper_work *work, const char *path, const char *name)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        if (errno != ENOENT)
            report_error("unable to open", path);
        return;
    }
    (void)keeper_read(work, fd, path, name);
    fd_close(fd);
}

static void
verify_folder(struct keeper_work *work, unsigned int folder, uint64_t settled,
              uint64_t started)
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
    while ((found = readdir(directory))) {
        if (!uint640_scan(found->d_name, &id) || id < settled || id >= started)
            continue;
        queue_file_path(path, id);
        verify(work, path, found->d_name);
    }
    closedir(directory);
}

/* ---- the process */

static _Noreturn void
serve(int socket, uint64_t settled, uint64_t started)
{
    struct keeper_work work = {.socket = socket};
    struct pollfd parent = {.fd = socket, .events = POLLIN};
    struct handoff_parts all_verified = {.strings = "settled",
                                         .strings_len = sizeof "settled"};

    if (nice(10) == -1)
        errno = 0; /* it is only a courtesy */
    for (unsigned int folder = 0; folder < QUEUE_FILE_SPLIT; folder++)
        verify_folder(&work, folder, settled, started);
    /* before qmail-send hears that it should scan: what it delivers is not found here */
    drop_take_all(&work, true);
    work.has_found = true;
    for (;;) {
        if (work.has_found && handoff_send(socket, &all_verified) != HANDOFF_DONE)
            _exit(0);
        work.has_found = false;
        if (!work.is_blocked)
            drop_take_all(&work, false);
        int ready = poll(&parent, 1, ROUND_MS);
        if (ready > 0)
            _exit(0); /* qmail-queued says nothing unasked: this is its end */
    }
}

bool
keeper_start(struct keeper *keeper, uint64_t settled, uint64_t started)
{
    int ends[2];

    if (!handoff_pair(ends))
        return false;
    keeper->pid = fork();
    if (keeper->pid == 0) {
        helper_settle(&ends[1], 1);
        serve(ends[1], settled, started);
    }
    fd_close(ends[1]);
    keeper->socket = ends[0];
    return keeper->pid > 0 && ndelay_on(keeper->socket) == 0;
}
