/* How a message gets from queue/drop/NAME into queue/mess/N/ID, once, whoever is killed
 * and whenever the power fails:
 *
 *   1  the queue file is written as queue/taking/ID.NAME, a folder of ours alone, where
 *      qmail-send does not look; file and folder are flushed
 *   2  queue/drop/NAME is removed; queue/drop is flushed
 *   3  queue/taking/ID.NAME is renamed to queue/mess/N/ID, and that folder is flushed;
 *      until then the file is locked, so that a scan of qmail-send leaves it alone
 *   4  qmail-send hears of it
 *
 * What a crash has left says how far this has come, since each step begins when the one
 * before is on the disk. Is NAME still in queue/drop, or there again, then step 2 had
 * not ended: nobody has seen the file in queue/taking, it is removed and made anew. Is it
 * not, then the file is complete and the only one: step 2 is flushed, 3 and 4 are done.
 * So there is at any time one that counts, and none can come back of which qmail-send has
 * heard. Should a rename be undone (qmail-queued was killed before the flush of step 3,
 * qmail-send found the file, then the power failed), the message comes again under the
 * same id, and a Maildir, where names are made of ids, has it already.
 *
 * A rename is done or not done, as on every journalled file system; nothing else is
 * assumed of the order in which changes reach the disk.
 *
 * NAME is a stranger's choice. It is unknown to others, who cannot list queue/drop; who
 * puts another file there under the same name meanwhile may lose his own message. */
#include "drop_take.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/stat.h>

#include <skalibs/djbunix.h>

#include "aside.h"
#include "copier.h"
#include "drop_file.h"
#include "exitcode.h"
#include "next_entry.h"
#include "report.h"
#include "server.h"
#include "source.h"
#include "taking.h"
#include "verify.h"

enum {
    NAME_MAX_BYTES = 200, /* of a file in queue/drop; an id and a dot come before it */
    DRAFT_MAX_S = 36 * 60 * 60, /* qmail-queue gives up after 24 hours */
};

enum fate {
    FATE_TAKEN,
    FATE_REFUSED, /* no message: set it aside */
    FATE_SKIPPED, /* it cannot be read now: next time, and on with the others */
    FATE_LATER,   /* the queue cannot take more now: next time, all of them */
};

static enum fate
fate_of(unsigned int code)
{
    switch (code) {
    case QUEUE_OK:
        return FATE_TAKEN;
    case QUEUE_BAD_ENVELOPE:
    case QUEUE_ADDRESS_TOO_LONG:
        return FATE_REFUSED;
    case QUEUE_READ_ERROR:
    case QUEUE_WRITE_ERROR: /* too large for the disk */
        return FATE_SKIPPED;
    default:
        return FATE_LATER;
    }
}

static unsigned int
copy(struct entry *entry, int source)
{
    char *buffer = malloc(SERVER_BUFFER);
    if (!buffer)
        return QUEUE_NO_MEMORY;
    unsigned int code =
        copier_copy(entry, source, buffer, entry->message_len + entry->envelope_len);
    free(buffer);
    return code;
}

/* Write the queue file. returns FATE_TAKEN: it is on the disk */
static enum fate
write_taking(struct drop_take *take, const struct taking *taking, int source, uid_t uid,
             const struct drop_file *drop)
{
    const struct entry_origin origin = {
        .uid = uid, .pid = drop->pid, .role = server_role(take->options, uid)};
    uint64_t len = drop->message_len + drop->envelope_len;
    struct entry entry;

    unsigned int code =
        entry_begin(&entry, &origin, drop->message_len, drop->envelope_len);
    if (code != QUEUE_OK)
        return fate_of(code);
    if (source_judge(source, len, take->mount) == SOURCE_REFUSED) {
        /* as long as a foreign file system is mounted there; or it has become shorter,
         * and is no message in the next round */
        report_file("unable to take in, not all there or on no local disk:",
                    taking->drop_path);
        return FATE_SKIPPED;
    }
    if (!copier_has_room(taking->fd, len, false)) {
        errno = ENOSPC;
        report_error("unable to take in", taking->drop_path);
        return FATE_SKIPPED;
    }
    entry.file = taking->fd;
    code = copy(&entry, source);
    if (code == QUEUE_OK && (fsync(taking->fd) < 0 || fsync(take->taking) < 0))
        code = QUEUE_WRITE_ERROR;
    if (code == QUEUE_WRITE_ERROR || code == QUEUE_NO_MEMORY)
        report_error("unable to write", taking->path);
    return fate_of(code);
}

/* All steps for one message. */
static enum fate
take_in(struct drop_take *take, const char *name, int source, uid_t uid,
        const struct drop_file *drop)
{
    struct taking taking = {.id = taking_ask_id(take)};

    taking_name(&taking, name);
    taking.fd = open(taking.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (taking.fd < 0 || flock(taking.fd, LOCK_EX) < 0) {
        report_error("unable to create", taking.path);
        if (taking.fd >= 0)
            fd_close(taking.fd);
        return FATE_LATER; /* the next round begins with what is left there */
    }
    enum fate fate = write_taking(take, &taking, source, uid, drop);
    if (fate == FATE_TAKEN && unlink(taking.drop_path) < 0 && errno != ENOENT) {
        report_error("unable to remove", taking.drop_path);
        fate = FATE_SKIPPED;
    }
    if (fate != FATE_TAKEN && !taking_discard(&taking))
        fate = FATE_LATER;
    if (fate == FATE_TAKEN && !taking_enter_queue(take, &taking))
        fate = FATE_LATER;
    if (taking.fd >= 0)
        fd_close(taking.fd);
    return fate;
}

/* ---- queue/drop */

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

/* It could not be opened (errno): a symlink, a socket, or a file that its owner keeps
 * from us is no message; anything else may pass. */
static enum fate
judge_unopened(const char *path)
{
    struct stat status;

    if (errno == ELOOP || errno == ENXIO)
        return FATE_REFUSED;
    int saved = errno;
    if (saved == EACCES && lstat(path, &status) == 0 && !(status.st_mode & S_IROTH))
        return FATE_REFUSED;
    errno = saved;
    if (errno != ENOENT)
        report_error("unable to open", path);
    return FATE_SKIPPED;
}

/* returns false when there is no use in going on with this round */
static bool
visit(struct drop_take *take, const char *name)
{
    char path[TAKING_PATH_MAX];
    struct drop_file drop;
    enum fate fate = FATE_REFUSED; /* as are names too long for us */
    uid_t uid;

    snprintf(path, sizeof path, "queue/drop/%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        fate = judge_unopened(path);
    else if (strlen(name) <= NAME_MAX_BYTES)
        fate = judge(fd, &uid, &drop);
    if (fate == FATE_TAKEN)
        fate = take_in(take, name, fd, uid, &drop);
    if (fd >= 0)
        fd_close(fd);
    if (fate == FATE_REFUSED)
        (void)aside_move(path, "drop-", name);
    return fate != FATE_LATER;
}

/* A hidden name: a file that is being written, or whose writer was killed. Should the
 * clock have leapt and somebody be writing it still, then he cannot rename it any more,
 * and his sender hears of the failure: nothing is lost that was accepted. */
static void
visit_draft(const char *name)
{
    char path[TAKING_PATH_MAX];
    struct stat status;

    snprintf(path, sizeof path, "queue/drop/%s", name);
    if (lstat(path, &status) < 0 || !S_ISREG(status.st_mode) ||
        status.st_mtime >= time(NULL) - DRAFT_MAX_S)
        return;
    if (unlink(path) == 0)
        report_file("removed a message that was never completed:", path);
    else if (errno != ENOENT)
        report_error("unable to remove", path);
}

static void
visit_drop(struct drop_take *take)
{
    const struct dirent *found;

    DIR *directory = opendir("queue/drop");
    if (!directory) {
        report_error("unable to open", "queue/drop");
        return;
    }
    while ((found = next_entry(directory))) {
        if (found->d_type == DT_DIR)
            continue; /* somebody's joke */
        if (found->d_name[0] == '.')
            visit_draft(found->d_name);
        else if (!visit(take, found->d_name))
            break;
    }
    if (!found && errno)
        report_error("unable to read", "queue/drop");
    closedir(directory);
}

/* ---- queue/taking: what a crash, or a failure, has left */

/* The file in queue/drop has gone: is this one complete? It is not when its owner has
 * taken the message back while it was being written. */
static void
resume(struct drop_take *take, struct taking *taking, const char *name)
{
    taking->fd = open(taking->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (taking->fd < 0 || flock(taking->fd, LOCK_EX) < 0) {
        report_error("unable to open", taking->path);
        return;
    }
    enum queue_file_status status = verify_queue_file(taking->fd, &take->file);
    if (status == QUEUE_FILE_TORN)
        (void)aside_move(taking->path, "drop-", name);
    else if (status == QUEUE_FILE_ERROR || fsync(taking->fd) < 0 ||
             fsync(take->taking) < 0)
        report_error("unable to read", taking->path);
    else
        (void)taking_enter_queue(take, taking);
}

/* returns false when there may be a file that will be made anew */
static bool
visit_taking(struct drop_take *take)
{
    const struct dirent *found;
    bool ok = true;

    DIR *directory = opendir("queue/taking");
    if (!directory) {
        report_error("unable to open", "queue/taking");
        return false;
    }
    while (ok && (found = next_entry(directory))) {
        struct taking taking = {.fd = -1};
        if (!taking_parse_name(&taking, found->d_name))
            continue;
        enum taking_presence presence = taking_find_drop(&taking);
        if (presence == TAKING_YES)
            ok = taking_discard(&taking);
        else if (presence == TAKING_NO)
            resume(take, &taking, found->d_name);
        else
            report_error("unable to look for", taking.drop_path);
        if (taking.fd >= 0)
            fd_close(taking.fd);
    }
    if (ok && errno) {
        report_error("unable to read", "queue/taking");
        ok = false;
    }
    closedir(directory);
    return ok;
}

bool
drop_take_begin(struct drop_take *take)
{
    int result;

    take->taking = open("queue/taking", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (take->taking < 0)
        return false;
    do
        result = flock(take->taking, LOCK_EX);
    while (result < 0 && errno == EINTR);
    return result == 0;
}

void
drop_take_round(struct drop_take *take)
{
    if (visit_taking(take))
        visit_drop(take);
}
