#include "queue_folders.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include <sys/stat.h>

#include <skalibs/djbunix.h>

#include "durable.h"
#include "queue_file.h"

/* Everybody may leave a file, nobody can list or remove another's. */
enum { DROP_MODE = 01733 };

static bool
make(const char *path, mode_t mode, bool *is_changed)
{
    if (mkdir(path, mode) == 0) {
        *is_changed = true;
        return chmod(path, mode) == 0; /* whatever the umask is */
    }
    return errno == EEXIST;
}

static bool
flush_folder(const char *path)
{
    struct durable durable = {0};
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = durable_flush(&durable, &fd, 1);
    fd_close(fd);
    return ok;
}

bool
queue_folders_make(void)
{
    char path[QUEUE_FILE_PATH_MAX];
    bool is_changed = false;

    bool ok = make("queue/mess", 0700, &is_changed) &&
              make("queue/bounce", 0700, &is_changed) &&
              make("queue/bad", 0700, &is_changed) &&
              make("queue/drop", DROP_MODE, &is_changed) &&
              make("queue/taking", 0700, &is_changed);
    for (unsigned int i = 0; ok && i < QUEUE_FILE_SPLIT; i++) {
        snprintf(path, sizeof path, "queue/mess/%u", i);
        ok = make(path, 0700, &is_changed);
    }
    if (ok && is_changed)
        ok = flush_folder("queue") && flush_folder("queue/mess");
    return ok;
}
