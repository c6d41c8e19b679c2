#include "keeper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/stat.h>

#include <skalibs/djbunix.h>
#include <skalibs/types.h>

#include "drop_file.h"
#include "exitcode.h"
#include "handoff.h"
#include "helper.h"
#include "queue_file.h"
#include "report.h"
#include "text.h"

enum {
    ROUND_MS = 30 * 1000,        /* between two looks into queue/drop */
    NAME_BYTES = 300,            /* "queue/drop/" and a name of at most 255 */
    ENVELOPE_KEEP = 1024 * 1024, /* memory that is not given back between files */
};

struct work {
    int socket;
    struct handoff packet;
    struct queue_file file;
    bool
        is_blocked; /* a file that was taken in could not be removed: never take it twice */
};

static bool
set_aside(const char *path, const char *prefix, const char *name)
{
    char target[NAME_BYTES + 32];
    snprintf(target, sizeof target, "queue/bad/%s%s", prefix, name);
    if (rename(path, target) == 0) {
        report_file("set aside in queue/bad: not a complete message:", path);
        return true;
    }
    if (errno != ENOENT)
        report_error("unable to set aside", path);
    return errno == ENOENT;
}

/* ---- verify what a crash may have torn */

/* A file that does not check was never accepted: its client got no answer. Only now look
 * whether somebody is still writing it, so that a sound file is never locked here. */
static void
judge_torn(struct work *work, int fd, const char *path, const char *name)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 &&
        queue_file_read(fd, &work->file, true) == QUEUE_FILE_TORN)
        set_aside(path, "", name);
}

static void
verify(struct work *work, const char *path, const char *name)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        if (errno != ENOENT)
            report_error("unable to open", path);
        return;
    }
    enum queue_file_status status = queue_file_read(fd, &work->file, true);
    if (status == QUEUE_FILE_ERROR)
        report_error("unable to read", path);
    else if (status == QUEUE_FILE_TORN)
        judge_torn(work, fd, path, name);
    fd_close(fd);
    if (work->file.envelope.a > ENVELOPE_KEEP)
        stralloc_free(&work->file.envelope);
}

static void
verify_folder(struct work *work, unsigned int folder, uint64_t settled, uint64_t started)
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

/* ---- take in queue/drop */

enum fate {
    FATE_TAKEN,
    FATE_REFUSED, /* no message: set it aside */
    FATE_SKIPPED, /* it cannot be read now: next time, and on with the others */
    FATE_LATER,   /* the queue cannot take more now: next time, all of them */
};

/* Hand the open file over and wait for the answer. */
static enum fate
hand_over(struct work *work, int fd, uid_t uid, const struct drop_file *drop)
{
    stralloc strings = STRALLOC_ZERO;
    unsigned int code;

    bool ok = text_copy_bytes(&strings, "drop", sizeof "drop") &&
              text_append_number_string(&strings, drop->message_len) &&
              text_append_number_string(&strings, drop->envelope_len) &&
              text_append_number_string(&strings, uid) &&
              text_append_number_string(&strings, drop->pid);
    struct handoff_parts parts = {
        .strings = strings.s, .strings_len = strings.len, .fds = &fd, .fd_count = 1};
    ok = ok && handoff_send(work->socket, &parts) == HANDOFF_DONE;
    stralloc_free(&strings);
    if (!ok || handoff_receive(work->socket, &work->packet) != HANDOFF_DONE)
        _exit(EXITCODE_TEMPORARY);
    const char *text = handoff_string(&work->packet, 0);
    if (!text || !uint0_scan(text, &code))
        return FATE_LATER;
    if (code == QUEUE_OK)
        return FATE_TAKEN;
    if (code == QUEUE_READ_ERROR ||
        code == QUEUE_WRITE_ERROR) /* too large for the disk */
        return FATE_SKIPPED;
    return code == QUEUE_BAD_ENVELOPE || code == QUEUE_ADDRESS_TOO_LONG ? FATE_REFUSED
                                                                        : FATE_LATER;
}

/* Only a regular file without another name (somebody else's file, linked here) and with a
 * footer that fits. */
static enum fate
take_in(struct work *work, int fd)
{
    struct stat status;
    struct drop_file drop;
    char footer[DROP_FILE_FOOTER_LEN];

    if (fstat(fd, &status) < 0)
        return FATE_SKIPPED;
    if (!S_ISREG(status.st_mode) || status.st_nlink != 1 ||
        status.st_size < DROP_FILE_FOOTER_LEN)
        return FATE_REFUSED;
    ssize_t got = pread(fd, footer, sizeof footer, status.st_size - DROP_FILE_FOOTER_LEN);
    if (got < 0)
        return FATE_SKIPPED;
    if (got != DROP_FILE_FOOTER_LEN ||
        !drop_file_parse(&drop, footer, (uint64_t)status.st_size))
        return FATE_REFUSED;
    return hand_over(work, fd, status.st_uid, &drop);
}

/* returns false when there is no use in going on with this round */
static bool
visit(struct work *work, const char *name)
{
    char path[NAME_BYTES];

    snprintf(path, sizeof path, "queue/drop/%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    /* a symlink, a socket, a file that its owner keeps from us: no message */
    bool is_strange = fd < 0 && (errno == ELOOP || errno == ENXIO || errno == EACCES);
    if (fd < 0 && !is_strange)
        return true;
    enum fate fate = fd < 0 ? FATE_REFUSED : take_in(work, fd);
    if (fd >= 0)
        fd_close(fd);
    if (fate == FATE_REFUSED)
        (void)set_aside(path, "drop-", name);
    if (fate == FATE_TAKEN && unlink(path) < 0 && errno != ENOENT) {
        report_error("unable to remove", path);
        work->is_blocked = !set_aside(path, "drop-", name);
    }
    return fate != FATE_LATER && !work->is_blocked;
}

static void
visit_all(struct work *work)
{
    const struct dirent *found;

    DIR *directory = opendir("queue/drop");
    if (!directory) {
        report_error("unable to open", "queue/drop");
        return;
    }
    /* names with a dot are being written; a directory is somebody's joke */
    while ((found = readdir(directory)))
        if (found->d_name[0] != '.' && found->d_type != DT_DIR &&
            !visit(work, found->d_name))
            break;
    (void)fsync(dirfd(directory)); /* else a crash could bring a taken one back */
    closedir(directory);
}

/* ---- the process */

static _Noreturn void
serve(int socket, uint64_t settled, uint64_t started)
{
    struct work work = {.socket = socket};
    struct pollfd parent = {.fd = socket, .events = POLLIN};
    struct handoff_parts all_verified = {.strings = "settled",
                                         .strings_len = sizeof "settled"};

    if (nice(10) == -1)
        errno = 0; /* it is only a courtesy */
    for (unsigned int folder = 0; folder < QUEUE_FILE_SPLIT; folder++)
        verify_folder(&work, folder, settled, started);
    if (handoff_send(socket, &all_verified) != HANDOFF_DONE)
        _exit(0);
    for (;;) {
        if (!work.is_blocked)
            visit_all(&work);
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
