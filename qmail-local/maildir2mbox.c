/* maildir2mbox: move the messages of a Maildir to an mbox.
 *
 * usage   maildir2mbox
 * env     MAILDIR, the Maildir; MAIL, the mbox; MAILTMP, a name in MAIL's directory
 * files   MAIL is locked with flock(), copied to MAILTMP, which then takes its place; the
 *         messages are removed from the Maildir after that
 * exit    0 moved; 100 bad usage or a variable is missing; 111 trouble: the Maildir is as
 *         it was, and so is MAIL, unless removing failed, when messages are in both
 * spec    maildir(5), mbox(5)
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <skalibs/buffer.h>
#include <skalibs/strerr.h>

#include "die.h"
#include "maildir_contents.h"
#include "mbox_entry.h"
#include "text.h"

struct move {
    const char *maildir, *mbox, *temporary;
    struct maildir_contents contents;
    int lock; /* the old mbox, or -1 */
};

static const char *
need(const char *name, const char *complaint)
{
    const char *value = getenv(name);
    if (!value || !*value)
        die_perm(complaint);
    return value;
}

/* Lock MAIL as it is now: after waiting, the name may stand for another file. */
static void
lock_mbox(struct move *move)
{
    struct stat locked, named;

    for (;;) {
        move->lock = open(move->mbox, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (move->lock < 0 || flock(move->lock, LOCK_EX) < 0 ||
            fstat(move->lock, &locked) < 0)
            die_temp("lock", move->mbox);
        if (stat(move->mbox, &named) == 0 && named.st_ino == locked.st_ino &&
            named.st_dev == locked.st_dev)
            return;
        close(move->lock);
    }
}

static void
copy_mbox(const struct move *move, buffer *out)
{
    char chunk[64 * 1024];
    ssize_t got;

    while ((got = read(move->lock, chunk, sizeof chunk)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            die_temp("read", move->mbox);
        if (buffer_put(out, chunk, (size_t)got) < 0)
            die_temp("write", move->temporary);
    }
}

/* The From_ line comes from the Return-Path that the delivery has put on top. */
static void
append_message(const struct maildir_entry *entry, int base, buffer *out)
{
    const char *bytes = "";
    struct stat status;

    int fd = openat(base, entry->path.s, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        die_temp("read", entry->path.s);
    size_t len = (size_t)status.st_size;
    if (len) {
        void *mapping = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
        if (mapping == MAP_FAILED)
            die_temp("read", entry->path.s);
        bytes = mapping;
    }
    if (!mbox_put_found_from_(out, bytes, len, status.st_mtime) ||
        !mbox_put_message(out, bytes, len))
        die_temp("write", "the new mbox");
    if (len)
        munmap((void *)(uintptr_t)bytes, len);
    close(fd);
}

static void
write_mbox(const struct move *move)
{
    char storage[64 * 1024];
    struct stat status;
    buffer out;

    int fd = open(move->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || fstat(move->lock, &status) < 0 || fchmod(fd, status.st_mode & 0777) < 0)
        die_temp("make", move->temporary);
    /* whoever opens the new file under its final name waits until we are done */
    if (flock(fd, LOCK_EX) < 0)
        die_temp("lock", move->temporary);
    buffer_init(&out, &buffer_write, fd, storage, sizeof storage);
    copy_mbox(move, &out);
    if (!mbox_put_separator(&out, move->lock, status.st_size))
        die_temp("copy", move->mbox);
    for (size_t i = 0; i < move->contents.count; i++)
        append_message(&move->contents.entries[i], move->contents.base, &out);
    if (!buffer_flush(&out) || fsync(fd) < 0)
        die_temp("write", move->temporary);
    if (rename(move->temporary, move->mbox) < 0)
        die_temp("replace", move->mbox);
    if (close(fd) < 0)
        die_temp("write", move->mbox);
}

/* The rename must be on the disk before the messages go from the other place. */
static void
flush_directory(const char *path)
{
    stralloc directory = STRALLOC_ZERO;
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) + 1 : 0;

    if (!(len ? text_copy_bytes(&directory, path, len) : text_copy(&directory, ".")))
        die_temp("name", path);
    int fd = open(directory.s, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        die_temp("flush", directory.s);
    close(fd);
    stralloc_free(&directory);
}

int
main(int argc, const char *const *argv)
{
    (void)argv;
    PROG = "maildir2mbox";
    if (argc != 1)
        die_usage("maildir2mbox");
    umask(077);
    struct move move = {.maildir = need("MAILDIR", "MAILDIR is not set"),
                        .mbox = need("MAIL", "MAIL is not set"),
                        .temporary = need("MAILTMP", "MAILTMP is not set")};
    if (!maildir_contents_read(&move.contents, move.maildir))
        die_temp("read", move.maildir);
    if (!move.contents.count)
        return 0;
    lock_mbox(&move);
    write_mbox(&move);
    flush_directory(move.mbox);
    for (size_t i = 0; i < move.contents.count; i++)
        if (unlinkat(move.contents.base, move.contents.entries[i].path.s, 0) < 0)
            die_temp("remove", move.contents.entries[i].path.s);
    return 0;
}
