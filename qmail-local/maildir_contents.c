#include "maildir_contents.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "next_entry.h"
#include "text.h"

static bool
add_entry(struct maildir_contents *contents, const char *directory, const char *name)
{
    struct stat status;
    struct maildir_entry entry = {0};

    if (!text_copy(&entry.path, directory) || !text_append(&entry.path, "/") ||
        !text_append(&entry.path, name))
        return false;
    if (fstatat(contents->base, entry.path.s, &status, 0) < 0 ||
        !S_ISREG(status.st_mode)) {
        stralloc_free(&entry.path);
        return true; /* it has gone, or it is no message */
    }
    entry.time = status.st_mtim;
    struct maildir_entry *entries =
        reallocarray(contents->entries, contents->count + 1, sizeof entry);
    if (!entries)
        return false;
    contents->entries = entries;
    entries[contents->count++] = entry;
    return true;
}

static bool
add_directory(struct maildir_contents *contents, const char *name)
{
    const struct dirent *entry;
    bool ok = true;

    int fd = openat(contents->base, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory)
        return false;
    while (ok && (entry = next_entry(directory)))
        ok = entry->d_name[0] == '.' || add_entry(contents, name, entry->d_name);
    int saved = errno;
    closedir(directory);
    errno = saved;
    return ok && saved == 0;
}

static int
compare(const void *a, const void *b)
{
    const struct maildir_entry *left = a, *right = b;
    if (left->time.tv_sec != right->time.tv_sec)
        return left->time.tv_sec < right->time.tv_sec ? -1 : 1;
    if (left->time.tv_nsec != right->time.tv_nsec)
        return left->time.tv_nsec < right->time.tv_nsec ? -1 : 1;
    return strcmp(left->path.s, right->path.s);
}

bool
maildir_contents_read(struct maildir_contents *contents, const char *path)
{
    memset(contents, 0, sizeof *contents);
    contents->base = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (contents->base < 0 || !add_directory(contents, "new") ||
        !add_directory(contents, "cur"))
        return false;
    if (contents->count)
        qsort(contents->entries, contents->count, sizeof *contents->entries, compare);
    return true;
}
