#include "keeper_work.h"

#include <errno.h>
#include <stdio.h>

#include <sys/file.h>

#include "report.h"

enum {
    TARGET_BYTES = 332,          /* "queue/bad/drop-" and a name of at most 255 */
    ENVELOPE_KEEP = 1024 * 1024, /* memory that is not given back between files */
};

bool
keeper_set_aside(const char *path, const char *prefix, const char *name)
{
    char target[TARGET_BYTES];
    snprintf(target, sizeof target, "queue/bad/%s%s", prefix, name);
    if (rename(path, target) == 0) {
        report_file("set aside in queue/bad: not a complete message:", path);
        return true;
    }
    if (errno != ENOENT)
        report_error("unable to set aside", path);
    return errno == ENOENT;
}

/* A file that does not check was never accepted: its client got no answer. Only now look
 * whether somebody is still writing it, so that a sound file is never locked here. */
static void
judge_torn(struct keeper_work *work, int fd, const char *path, const char *name)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 &&
        queue_file_read(fd, &work->file, true) == QUEUE_FILE_TORN)
        keeper_set_aside(path, "", name);
}

enum queue_file_status
keeper_read(struct keeper_work *work, int fd, const char *path, const char *name)
{
    enum queue_file_status status = queue_file_read(fd, &work->file, true);
    if (status == QUEUE_FILE_ERROR)
        report_error("unable to read", path);
    else if (status == QUEUE_FILE_TORN)
        judge_torn(work, fd, path, name);
    if (work->file.envelope.a > ENVELOPE_KEEP)
        stralloc_free(&work->file.envelope);
    return status;
}
