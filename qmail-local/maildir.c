#include "maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/djbunix.h>

#include "text.h"

enum {
    HOST_MAX = 64,
    RENAME_EXCLUSIVE = 1, /* RENAME_NOREPLACE; musl has no renameat2 */
    USECOND = 1000000,
};

bool
maildir_open(struct maildir *maildir, int home, const char *path)
{
    maildir->base = openat(home, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (maildir->base < 0)
        return false;
    maildir->tmp = openat(maildir->base, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (maildir->tmp < 0) {
        fd_close(maildir->base);
        return false;
    }
    maildir->new = openat(maildir->base, "new", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (maildir->new < 0) {
        fd_close(maildir->tmp);
        fd_close(maildir->base);
        return false;
    }
    return true;
}

void
maildir_close(struct maildir *maildir)
{
    close(maildir->base);
    close(maildir->tmp);
    close(maildir->new);
}

/* FNV-1a, 64 bits, over text and its '\0'. A collision could only make the sender of one
 * message lose one of two copies of it. */
static uint64_t
hash_text(uint64_t hash, const char *text)
{
    do {
        hash ^= (unsigned char)*text;
        hash *= 0x100000001b3u;
    } while (*text++);
    return hash;
}

static bool
append_host(stralloc *name)
{
    char host[HOST_MAX + 1] = "";

    if (gethostname(host, HOST_MAX) < 0 && errno != ENAMETOOLONG)
        return false;
    for (const char *at = host; *at; at++) {
        bool ok = *at == '/'   ? text_append(name, "\\057")
                  : *at == ':' ? text_append(name, "\\072")
                               : text_append_bytes(name, at, 1);
        if (!ok)
            return false;
    }
    return true;
}

bool
maildir_make_name(stralloc *name, const struct local_job *job, const char *path,
                  unsigned int nth)
{
    char text[96];
    uint64_t hash = 0xcbf29ce484222325u + nth;

    if (job->id) {
        hash = hash_text(hash, job->local);
        hash = hash_text(hash, job->domain);
        hash = hash_text(hash, path);
        snprintf(text, sizeof text, "%llu.Q%lluR%016llx.",
                 (unsigned long long)(job->id / USECOND), (unsigned long long)job->id,
                 (unsigned long long)hash);
    } else {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        if (getrandom(&hash, sizeof hash, 0) != sizeof hash)
            return false;
        snprintf(text, sizeof text, "%lld.M%ldP%ldR%016llx.", (long long)now.tv_sec,
                 now.tv_nsec / 1000, (long)getpid(), (unsigned long long)hash);
    }
    return text_copy(name, text) && append_host(name);
}

unsigned int
maildir_count_path(const stralloc *list, const char *path)
{
    unsigned int count = 0;
    for (size_t at = 0; at < list->len; at += strlen(list->s + at) + 1)
        count += strcmp(list->s + at, path) == 0;
    return count;
}

/* An iovec points to what is written as to what is read into. */
static struct iovec
piece(const char *bytes, size_t len)
{
    struct iovec result = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
    return result;
}

int
maildir_write(const struct maildir *maildir, const char *name,
              const struct local_lines *lines, const struct message *message)
{
    struct iovec pieces[3] = {
        piece(lines->return_path.s, lines->return_path.len),
        piece(lines->delivered_to.s, lines->delivered_to.len),
        piece(message->bytes, message->len),
    };
    size_t len = pieces[0].iov_len + pieces[1].iov_len + pieces[2].iov_len;
    int fd = openat(maildir->tmp, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd >= 0 && allwritev(fd, pieces, 3) < len) {
        int saved = errno;
        (void)unlinkat(maildir->tmp, name, 0);
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

int
maildir_write_own(const struct maildir *maildir, stralloc *own,
                  const struct local_lines *lines, const struct message *message)
{
    if (!text_append(own, ",P") || !text_append_number(own, (uint64_t)getpid()))
        return -1;
    int fd = maildir_write(maildir, own->s, lines, message);
    /* whoever had our process id is dead, or it is us: a recipient was given thrice */
    if (fd < 0 && errno == EEXIST && unlinkat(maildir->tmp, own->s, 0) == 0)
        fd = maildir_write(maildir, own->s, lines, message);
    return fd;
}

static int
rename_exclusively(const struct maildir *maildir, const char *temporary, const char *name)
{
    long result = syscall(SYS_renameat2, maildir->tmp, temporary, maildir->new, name,
                          RENAME_EXCLUSIVE);
    if (result == 0 || (errno != EINVAL && errno != ENOSYS))
        return result == 0 ? 0 : -1;
    /* a file system that cannot do it */
    if (linkat(maildir->tmp, temporary, maildir->new, name, 0) < 0)
        return -1;
    return unlinkat(maildir->tmp, temporary, 0);
}

enum maildir_publish_status
maildir_publish(const struct maildir *maildir, const char *temporary, const char *name)
{
    struct stat status;

    if (rename_exclusively(maildir, temporary, name) == 0)
        return MAILDIR_PUBLISHED;
    /* ENOENT: twice the same recipient in a batch: one name, and the file has moved */
    if (errno == ENOENT && fstatat(maildir->new, name, &status, 0) == 0)
        return MAILDIR_WAS_THERE;
    int saved = errno;
    (void)unlinkat(maildir->tmp, temporary, 0); /* if not, maildir_sweep() will */
    errno = saved;
    return saved == EEXIST ? MAILDIR_WAS_THERE : MAILDIR_PUBLISH_ERROR;
}
