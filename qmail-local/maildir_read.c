#include "maildir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "next_entry.h"

static DIR *
open_directory(int base, const char *name)
{
    int fd = openat(base, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory && fd >= 0)
        close(fd);
    return directory;
}

static void
close_directory(DIR *directory)
{
    int saved = errno;
    closedir(directory);
    errno = saved;
}

static enum maildir_presence
look_into(int base, const char *directory_name, const char *name)
{
    size_t len = strlen(name);
    const struct dirent *entry;
    DIR *directory = open_directory(base, directory_name);

    if (!directory)
        return errno == ENOENT ? MAILDIR_ABSENT : MAILDIR_UNREADABLE;
    while ((entry = next_entry(directory)))
        if (strncmp(entry->d_name, name, len) == 0 &&
            (entry->d_name[len] == '\0' || entry->d_name[len] == ':'))
            break;
    close_directory(directory);
    if (entry)
        return MAILDIR_PRESENT;
    return errno ? MAILDIR_UNREADABLE : MAILDIR_ABSENT;
}

enum maildir_presence
maildir_look(const struct maildir *maildir, const char *name)
{
    /* in this order: a reader moves files from new/ to cur/ meanwhile */
    enum maildir_presence presence = look_into(maildir->base, "new", name);
    return presence == MAILDIR_ABSENT ? look_into(maildir->base, "cur", name) : presence;
}

/* The name as it was in new/: what follows ':' are flags. */
static uint64_t
hash_name(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *name && *name != ':'; name++) {
        hash ^= (unsigned char)*name;
        hash *= 0x100000001b3u;
    }
    return hash;
}

static int
compare_hashes(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

struct list {
    uint64_t *hashes;
    size_t count, room;
};

static bool
list_directory(struct list *list, int base, const char *name)
{
    const struct dirent *entry;
    bool ok = true;
    DIR *directory = open_directory(base, name);

    if (!directory)
        return errno == ENOENT;
    while (ok && (entry = next_entry(directory))) {
        if (list->count == list->room) {
            size_t room = list->room ? 2 * list->room : 256;
            uint64_t *hashes = realloc(list->hashes, room * sizeof *hashes);
            ok = hashes != NULL;
            if (ok)
                list->hashes = hashes;
            list->room = ok ? room : list->room;
        }
        if (ok)
            list->hashes[list->count++] = hash_name(entry->d_name);
    }
    close_directory(directory);
    return ok && errno == 0;
}

bool
maildir_list(const struct maildir *maildir, uint64_t **hashes, size_t *count)
{
    struct list list = {0};

    /* in this order: a reader moves files from new/ to cur/ meanwhile */
    if (!list_directory(&list, maildir->base, "new") ||
        !list_directory(&list, maildir->base, "cur")) {
        free(list.hashes);
        return false;
    }
    if (list.count)
        qsort(list.hashes, list.count, sizeof *list.hashes, compare_hashes);
    *hashes = list.hashes;
    *count = list.count;
    return true;
}

bool
maildir_list_has(const uint64_t *hashes, size_t count, const char *name)
{
    uint64_t hash = hash_name(name);
    return count && bsearch(&hash, hashes, count, sizeof hash, compare_hashes);
}

void
maildir_sweep(const struct maildir *maildir, int64_t now)
{
    struct stat status;
    const struct dirent *entry;
    DIR *directory = open_directory(maildir->base, "tmp");

    if (!directory)
        return;
    while ((entry = readdir(directory)))
        if (entry->d_name[0] != '.' &&
            fstatat(maildir->tmp, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(status.st_mode) && status.st_mtime < now - MAILDIR_UNUSED_S &&
            status.st_atime < now - MAILDIR_UNUSED_S)
            (void)unlinkat(maildir->tmp, entry->d_name, 0);
    closedir(directory);
}
