#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/djbunix.h>

enum {
    MEMFD_MAX = 2 * 1024 * 1024, /* above, a file on disk: memory is not ours to fill */
};

static const struct message no_message = {.fd = -1};

static bool
map(struct message *message, size_t len)
{
    message->len = len;
    message->bytes = "";
    if (!len)
        return true;
    message->mapping =
        mmap(NULL, len, PROT_READ, MAP_SHARED | MAP_POPULATE, message->fd, 0);
    if (message->mapping == MAP_FAILED) {
        message->mapping = NULL;
        return false;
    }
    message->bytes = message->mapping;
    return true;
}

static bool
failed(struct message *message)
{
    int saved = errno;
    message_close(message);
    errno = saved;
    return false;
}

bool
message_take(struct message *message, struct handoff *packet)
{
    struct stat status;

    *message = no_message;
    if (!packet->fd_count) {
        message->copy = malloc(packet->body_len + 1);
        if (!message->copy)
            return false;
        memcpy(message->copy, packet->body, packet->body_len);
        message->bytes = message->copy;
        message->len = packet->body_len;
        return true;
    }
    message->fd = packet->fds[0];
    packet->fds[0] = -1;
    if (fstat(message->fd, &status) < 0 || !map(message, (size_t)status.st_size))
        return failed(message);
    return true;
}

/* A place for a message of len bytes that no other process can name; readable, so that a
 * delivery process of any uid can open its descriptor anew. */
static int
private_file(uint64_t len, const char *dir)
{
    if (len <= MEMFD_MAX)
        return memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
}

/* Within the kernel, by sendfile: one copy of the bytes and not two. */
static bool
copy_to_descriptor(int from, int to, uint64_t len)
{
    off_t offset = 0;

    while ((uint64_t)offset < len) {
        ssize_t sent = sendfile(to, from, &offset, (size_t)(len - (uint64_t)offset));
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent == 0)
            errno = EIO; /* the file is shorter than its footer says */
        if (sent <= 0)
            return false;
    }
    return true;
}

/* Put a descriptor that can only read in the place of the one that has written. A
 * delivery process could otherwise let root's file grow, past every quota of its user. */
static bool
keep_reader(struct message *message)
{
    int reader = message_open(message);
    if (reader < 0)
        return false;
    close(message->fd);
    message->fd = reader;
    return true;
}

bool
message_copy(struct message *message, int file, uint64_t len, const char *dir)
{
    *message = no_message;
    if (len <= HANDOFF_BODY_MAX) {
        message->copy = malloc(len + 1);
        ssize_t got = message->copy ? pread(file, message->copy, len, 0) : -1;
        if (got < 0 || (uint64_t)got != len) {
            if (got >= 0)
                errno = EIO;
            return failed(message);
        }
        message->bytes = message->copy;
        message->len = len;
        return true;
    }
    message->fd = private_file(len, dir);
    if (message->fd < 0 || !copy_to_descriptor(file, message->fd, len))
        return failed(message);
    if (len <= MEMFD_MAX &&
        fcntl(message->fd, F_ADD_SEALS,
              F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
        return failed(message);
    message->len = len;
    return keep_reader(message) || failed(message);
}

void
message_attach(const struct message *message, struct handoff_parts *parts)
{
    if (message->len <= HANDOFF_BODY_MAX) {
        parts->body = message->bytes;
        parts->body_len = message->len;
    } else {
        parts->fds = &message->fd;
        parts->fd_count = 1;
    }
}

int
message_open(struct message *message)
{
    char path[64] = "/proc/self/fd/";

    if (message->fd < 0) {
        message->fd = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (message->fd < 0)
            return -1;
        if (allwrite(message->fd, message->bytes, message->len) < message->len) {
            fd_close(message->fd);
            message->fd = -1;
            return -1;
        }
    }
    size_t at = strlen(path);
    char digits[16];
    size_t count = 0;
    for (int rest = message->fd; count == 0 || rest; rest /= 10)
        digits[count++] = (char)('0' + rest % 10);
    while (count)
        path[at++] = digits[--count];
    path[at] = '\0';
    return open(path, O_RDONLY | O_CLOEXEC);
}

void
message_close(struct message *message)
{
    if (message->mapping)
        munmap(message->mapping, message->len);
    if (message->fd >= 0)
        close(message->fd);
    free(message->copy);
    *message = no_message;
}
