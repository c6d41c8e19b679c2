#include "drop_take.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include <skalibs/djbunix.h>
#include <skalibs/types.h>

#include "drop_file.h"
#include "exitcode.h"
#include "report.h"
#include "text.h"

enum {
    NAME_BYTES = 300, /* "queue/drop/" and a name of at most 255 */
    ID_ATTEMPTS = 1000,
};

enum fate {
    FATE_TAKEN,
    FATE_REFUSED, /* no message: set it aside */
    FATE_SKIPPED, /* it cannot be read now: next time, and on with the others */
    FATE_LATER,   /* the queue cannot take more now: next time, all of them */
};

static void
talk(struct keeper_work *work, const struct handoff_parts *parts)
{
    if (handoff_send(work->socket, parts) != HANDOFF_DONE ||
        handoff_receive(work->socket, &work->packet) != HANDOFF_DONE)
        _exit(EXITCODE_TEMPORARY);
}

/* Hand the open file over and wait for the answer. */
static enum fate
hand_over(struct keeper_work *work, int fd, uid_t uid, const struct drop_file *drop,
          uint64_t id)
{
    stralloc strings = STRALLOC_ZERO;
    unsigned int code;

    bool ok = text_copy_bytes(&strings, "drop", sizeof "drop") &&
              text_append_number_string(&strings, drop->message_len) &&
              text_append_number_string(&strings, drop->envelope_len) &&
              text_append_number_string(&strings, uid) &&
              text_append_number_string(&strings, drop->pid) &&
              text_append_number_string(&strings, id);
    struct handoff_parts parts = {
        .strings = strings.s, .strings_len = strings.len, .fds = &fd, .fd_count = 1};
    if (ok)
        talk(work, &parts);
    stralloc_free(&strings);
    if (!ok)
        return FATE_LATER;
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
 * footer that fits. returns FATE_TAKEN: it is one */
static enum fate
judge(int fd, uid_t *uid, struct drop_file *drop)
{
    struct stat status;
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
        !drop_file_parse(drop, footer, (uint64_t)status.st_size))
        return FATE_REFUSED;
    *uid = status.st_uid;
    return FATE_TAKEN;
}

/* Look at a file, and hand it over if it has an id; name is for queue/bad. */
static enum fate
visit(struct keeper_work *work, const char *path, const char *name, uint64_t id)
{
    struct drop_file drop;
    uid_t uid;

    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    /* a symlink, a socket, a file that its owner keeps from us: no message */
    bool is_strange = fd < 0 && (errno == ELOOP || errno == ENXIO || errno == EACCES);
    if (fd < 0 && !is_strange)
        return FATE_SKIPPED;
    enum fate fate = fd < 0 ? FATE_REFUSED : judge(fd, &uid, &drop);
    if (fate == FATE_TAKEN && id)
        fate = hand_over(work, fd, uid, &drop, id);
    if (fd >= 0)
        fd_close(fd);
    if (fate == FATE_REFUSED)
        (void)keeper_set_aside(path, "drop-", name);
    return fate;
}

/* The message is safe under its id. qmail-queued has removed the file before it said so. */
static void
finish(struct keeper_work *work, const char *path, const char *name)
{
    if (unlink(path) == 0 || errno == ENOENT)
        return;
    report_error("unable to remove", path);
    work->is_blocked = !keeper_set_aside(path, "drop-", name);
}

/* returns false when there is no use in going on with this round */
static bool
take_in(struct keeper_work *work, uint64_t id, const char *name)
{
    char path[QUEUE_FILE_PATH_MAX];

    queue_file_taking_path(path, id);
    enum fate fate = visit(work, path, name, id);
    if (fate == FATE_TAKEN)
        finish(work, path, name);
    return fate != FATE_LATER && !work->is_blocked;
}

static bool
is_there(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 || errno != ENOENT;
}

/* An id that nobody else gets; ids of an earlier life are in the way when the clock was set
 * back. returns false when there is none now */
static bool
get_id(struct keeper_work *work, uint64_t *id)
{
    const struct handoff_parts question = {.strings = "id", .strings_len = sizeof "id"};
    char path[QUEUE_FILE_PATH_MAX], taking[QUEUE_FILE_PATH_MAX];

    for (int attempt = 0; attempt < ID_ATTEMPTS; attempt++) {
        talk(work, &question);
        const char *text = handoff_string(&work->packet, 1);
        if (!text || !uint640_scan(text, id) || !*id)
            return false;
        queue_file_path(path, *id);
        queue_file_taking_path(taking, *id);
        if (!is_there(path) && !is_there(taking))
            return true;
    }
    return false;
}

/* From queue/drop, where strangers choose the names, to queue/taking, where we do: durably,
 * before anybody can see the message under that id. */
static bool
take_from_drop(struct keeper_work *work, int drop, const char *name)
{
    char path[NAME_BYTES], taking[QUEUE_FILE_PATH_MAX];
    uint64_t id;

    snprintf(path, sizeof path, "queue/drop/%s", name);
    enum fate fate = visit(work, path, name, 0);
    if (fate != FATE_TAKEN)
        return true;
    if (!get_id(work, &id))
        return false;
    queue_file_taking_path(taking, id);
    if (rename(path, taking) < 0) {
        if (errno != ENOENT) /* else its owner has taken it back */
            report_error("unable to move to queue/taking:", path);
        return true;
    }
    if (fsync(work->taking) < 0 || fsync(drop) < 0) {
        report_error("unable to flush", taking);
        return false;
    }
    return take_in(work, id, name);
}

static void
visit_drop(struct keeper_work *work)
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
            !take_from_drop(work, dirfd(directory), found->d_name))
            break;
    closedir(directory);
}

/* ---- what was being taken in when somebody died, or had to wait */

enum copy {
    COPY_NONE,
    COPY_SAFE,
    COPY_UNSURE,
};

static bool
flush_folder_of(const char *path)
{
    char folder[QUEUE_FILE_PATH_MAX];

    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        fd_close(fd);
    return ok;
}

/* Is the message in queue/mess? If so, for good: whoever wrote it may have died before its flush. */
static enum copy
find_copy(struct keeper_work *work, uint64_t id, const char *name)
{
    char path[QUEUE_FILE_PATH_MAX];

    queue_file_path(path, id);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? COPY_NONE : COPY_UNSURE;
    enum copy copy = COPY_UNSURE;
    if (keeper_read(work, fd, path, name) != QUEUE_FILE_OK)
        copy = is_there(path) ? COPY_UNSURE : COPY_NONE;
    else if (fsync(fd) == 0 && flush_folder_of(path))
        copy = COPY_SAFE;
    fd_close(fd);
    return copy;
}

/* Those with a copy are done; the others are handed over under their ids, unless this is the
 * start. Nobody but us can put a name here. returns false when there is no use in going on */
static bool
visit_taking(struct keeper_work *work, DIR *directory, bool is_start)
{
    char path[QUEUE_FILE_PATH_MAX];
    const struct dirent *found;
    bool ok = true;
    uint64_t id;

    while (ok && !work->is_blocked && (found = readdir(directory))) {
        if (!uint640_scan(found->d_name, &id) || !id)
            continue;
        queue_file_taking_path(path, id);
        enum copy copy = find_copy(work, id, found->d_name);
        if (copy == COPY_SAFE) {
            finish(work, path, found->d_name);
            work->has_found = true;
        } else if (copy == COPY_NONE && !is_start) {
            ok = fsync(work->taking) == 0 && take_in(work, id, found->d_name);
        }
    }
    return ok && !work->is_blocked;
}

void
drop_take_all(struct keeper_work *work, bool is_start)
{
    DIR *directory = opendir("queue/taking");
    if (!directory) {
        report_error("unable to open", "queue/taking");
        return;
    }
    work->taking = dirfd(directory);
    if (visit_taking(work, directory, is_start) && !is_start)
        visit_drop(work);
    (void)fsync(work->taking); /* else a crash could bring a taken one back */
    closedir(directory);
}
