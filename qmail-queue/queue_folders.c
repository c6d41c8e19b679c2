#include "queue_folders.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include <sys/stat.h>

#include <skalibs/djbunix.h>

#include "parallel_fsync.h"
#include "queue_file.h"

/* Everybody may leave a file, nobody can list or remove another's. */
enum { DROP_MODE = 01733 };

static bool
make(const char *path, mode_t mode)
{
    if (mkdir(path, mode) == 0)
        return chmod(path, mode) == 0; /* whatever the umask is */
    return errno == EEXIST;
}

bool
queue_folders_flush(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = serial_fsync(&fd, 1);
    fd_close(fd);
    return ok;
}

/* They are flushed in any case: who made them, an installer or one of us that was killed,
 * may not have done it. */
bool
queue_folders_make(void)
{
    char path[QUEUE_FILE_PATH_MAX];

    bool ok = make("queue/mess", 0700) && make("queue/bad", 0700) &&
              make("queue/drop", DROP_MODE) && make("queue/taking", 0700);
    for (unsigned int i = 0; ok && i < QUEUE_FILE_SPLIT; i++) {
        snprintf(path, sizeof path, "queue/mess/%u", i);
        ok = make(path, 0700);
    }
    return ok && queue_folders_flush("queue") && queue_folders_flush("queue/mess");
}
