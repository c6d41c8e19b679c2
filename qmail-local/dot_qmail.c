#include "dot_qmail.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <sys/stat.h>

#include <skalibs/djbunix.h>

#include "text.h"

enum { DEFAULT_LEN = 7 }; /* "default" */

enum dot_qmail_home
dot_qmail_check_home(int fd)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return DOT_QMAIL_HOME_ERROR;
    if (status.st_mode & DOT_QMAIL_FORBIDDEN_MODE)
        return DOT_QMAIL_HOME_WRITABLE;
    if (status.st_mode & S_ISVTX)
        return DOT_QMAIL_HOME_STICKY;
    return DOT_QMAIL_HOME_OK;
}

enum dot_qmail_home
dot_qmail_open_home(const char *path, int *fd)
{
    /* O_PATH: a home without read permission for its owner is enough */
    *fd = openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0)
        return DOT_QMAIL_HOME_ERROR;
    enum dot_qmail_home home = dot_qmail_check_home(*fd);
    if (home == DOT_QMAIL_HOME_ERROR) {
        fd_close(*fd);
        *fd = -1;
    }
    return home;
}

/* ".qmail", dash, the first len bytes of ext made harmless, tail. '.' becomes ':', so
 * that no ext can name a parent directory. */
static bool
make_name(stralloc *name, const char *dash, const char *ext, size_t len, const char *tail)
{
    if (!text_copy(name, ".qmail") || !text_append(name, dash) ||
        !text_append_bytes(name, ext, len) || !text_append(name, tail))
        return false;
    char *safe = name->s + strlen(".qmail") + strlen(dash);
    text_lower(safe, len);
    for (size_t i = 0; i < len; i++)
        if (safe[i] == '.')
            safe[i] = ':';
    return true;
}

/* Does this errno say that there is no such regular file? ELOOP and ENAMETOOLONG come
 * from an ext that a stranger chose; ENXIO from a socket. */
static bool
means_absent(int error)
{
    return error == ENOENT || error == ENOTDIR || error == ELOOP ||
           error == ENAMETOOLONG || error == ENXIO;
}

/* Read all of fd, of which the file system says it has size bytes. */
static bool
read_text(stralloc *text, int fd, off_t size)
{
    if (size > DOT_QMAIL_SIZE_MAX) {
        errno = EFBIG;
        return false;
    }
    text->len = 0;
    if (!stralloc_ready(text, (size_t)size + 1))
        return false;
    while (text->len < (size_t)size) {
        ssize_t got = read(fd, text->s + text->len, (size_t)size - text->len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        if (got == 0)
            break; /* somebody is changing it: what is there counts */
        text->len += (size_t)got;
    }
    text->s[text->len] = '\0';
    return true;
}

static enum dot_qmail_status
take_file(struct dot_qmail *file, int fd, const struct stat *status)
{
    if (status->st_mode & DOT_QMAIL_FORBIDDEN_MODE)
        return DOT_QMAIL_WRITABLE;
    if (!read_text(&file->text, fd, status->st_size))
        return DOT_QMAIL_ERROR;
    if (!file->text.len)
        return DOT_QMAIL_DEFAULT;
    file->forward_only = (status->st_mode & S_IXUSR) != 0;
    return DOT_QMAIL_FILE;
}

/* Try the file that file->name names. DOT_QMAIL_ABSENT: look further */
static enum dot_qmail_status
try_file(struct dot_qmail *file, int home)
{
    struct stat status;
    enum dot_qmail_status result = DOT_QMAIL_ABSENT;

    /* O_NONBLOCK: opening a FIFO would wait */
    int fd = openat(home, file->name.s, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return means_absent(errno) ? DOT_QMAIL_ABSENT : DOT_QMAIL_ERROR;
    if (fstat(fd, &status) < 0)
        result = DOT_QMAIL_ERROR;
    else if (S_ISREG(status.st_mode))
        result = take_file(file, fd, &status);
    fd_close(fd);
    return result;
}

/* ".qmail-a-b-default", ".qmail-a-default", ".qmail-default" for the ext "a-b-c" */
static enum dot_qmail_status
try_defaults(struct dot_qmail *file, int home, const char *dash, const char *ext)
{
    for (size_t len = strlen(ext) + 1; len-- > 0;) {
        if (len && ext[len - 1] != '-')
            continue;
        if (!make_name(&file->name, dash, ext, len, "default"))
            return DOT_QMAIL_ERROR;
        enum dot_qmail_status status = try_file(file, home);
        if (status != DOT_QMAIL_ABSENT) {
            file->default_part = ext + len;
            return status;
        }
    }
    return DOT_QMAIL_ABSENT;
}

enum dot_qmail_status
dot_qmail_find(struct dot_qmail *file, int home, const char *dash, const char *ext)
{
    size_t len = strlen(ext);

    file->forward_only = false;
    file->default_part = NULL;
    file->text.len = 0;
    if (!make_name(&file->name, dash, ext, len, ""))
        return DOT_QMAIL_ERROR;
    enum dot_qmail_status status = try_file(file, home);
    if (status != DOT_QMAIL_ABSENT) {
        if (len >= DEFAULT_LEN && strcasecmp(ext + len - DEFAULT_LEN, "default") == 0)
            file->default_part = ext + len - DEFAULT_LEN;
        return status;
    }
    /* the user himself has one file; qmail also tried ".qmaildefault" */
    if (*dash || *ext)
        status = try_defaults(file, home, dash, ext);
    if (status != DOT_QMAIL_ABSENT)
        return status;
    file->name.len = 0;
    return *dash ? DOT_QMAIL_ABSENT : DOT_QMAIL_DEFAULT;
}

/* returns  1: it exists, 0: it does not, -1 with errno */
static int
owner_exists(int home, const char *dash, const char *ext, const char *tail)
{
    struct stat status;
    stralloc name = STRALLOC_ZERO;
    int result = -1;

    if (make_name(&name, dash, ext, strlen(ext), tail)) {
        result = fstatat(home, name.s, &status, 0) == 0;
        if (!result && !means_absent(errno))
            result = -1;
    }
    stralloc_free(&name); /* keeps errno */
    return result;
}

enum dot_qmail_owner
dot_qmail_find_owner(int home, const char *dash, const char *ext)
{
    int owner = owner_exists(home, dash, ext, "-owner");
    if (owner <= 0)
        return owner < 0 ? DOT_QMAIL_OWNER_ERROR : DOT_QMAIL_OWNER_NONE;
    int verp = owner_exists(home, dash, ext, "-owner-default");
    if (verp < 0)
        return DOT_QMAIL_OWNER_ERROR;
    return verp ? DOT_QMAIL_OWNER_VERP : DOT_QMAIL_OWNER_PLAIN;
}

void
dot_qmail_free(struct dot_qmail *file)
{
    stralloc_free(&file->name);
    stralloc_free(&file->text);
}
