#include "maildir_batch.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "exitcode.h"
#include "text.h"

bool
maildir_batch_has_room(const struct maildir_batch *batch, unsigned int files)
{
    return batch->job_count < MAILDIR_BATCH_JOBS &&
           MAILDIR_BATCH_FILES - batch->file_count >= files;
}

bool
maildir_batch_begin(struct maildir_batch *batch, const char *number)
{
    struct maildir_batch_job *job = &batch->jobs[batch->job_count];

    if (!text_copy(&job->number, number))
        return false;
    local_result_reset(&job->result);
    job->files = 0;
    batch->job_count++;
    return true;
}

/* Most of the time tmp/name is free. If not, a dead process has left it, or one goes on
 * with this delivery: a spawner that was killed leaves its qmail-local at work. Neither
 * may rename what the other has not yet flushed. So that file is left alone until the
 * message is in new/. */
static bool
write_file(struct maildir_batch_file *file, struct maildir_slot *slot,
           const struct message *message, const struct local_lines *lines)
{
    file->own.len = 0;
    file->fd = maildir_write(&slot->maildir, file->name.s, lines, message);
    if (file->fd < 0 && errno == EEXIST && text_copy(&file->own, file->name.s))
        file->fd = maildir_write_own(&slot->maildir, &file->own, lines, message);
    return file->fd >= 0;
}

static const char *
name_in_tmp(const struct maildir_batch_file *file)
{
    return file->own.len ? file->own.s : file->name.s;
}

bool
maildir_batch_add(struct maildir_batch *batch, struct maildir_slot *slot,
                  const stralloc *name, const struct local_job *job,
                  const struct local_lines *lines)
{
    struct maildir_batch_file *file = &batch->files[batch->file_count];

    if (!text_copy_bytes(&file->name, name->s, name->len))
        return false;
    file->fd = -1;
    enum maildir_presence presence =
        job->may_repeat ? maildir_cache_look(slot, name->s) : MAILDIR_ABSENT;
    if (presence == MAILDIR_UNREADABLE)
        return false;
    if (presence == MAILDIR_ABSENT && !write_file(file, slot, &job->message, lines))
        return false;
    file->slot = slot;
    file->job = batch->job_count - 1;
    slot->users++;
    batch->jobs[file->job].files++;
    batch->file_count++;
    return true;
}

/* Remove tmp/name and give up the slot. */
static void
remove_file(struct maildir_batch_file *file)
{
    if (file->fd >= 0) {
        (void)unlinkat(file->slot->maildir.tmp, name_in_tmp(file), 0);
        close(file->fd);
        file->fd = -1;
    }
}

void
maildir_batch_cancel(struct maildir_batch *batch)
{
    struct maildir_batch_job *job = &batch->jobs[--batch->job_count];
    for (; job->files; job->files--) {
        struct maildir_batch_file *file = &batch->files[--batch->file_count];
        remove_file(file);
        file->slot->users--;
    }
}

static void
fail(struct maildir_batch *batch, const struct maildir_batch_file *file,
     const char *action)
{
    struct local_result *result = &batch->jobs[file->job].result;
    if (result->code == EXITCODE_OK)
        local_result_defer_errno(result, action, "the maildir", "4.3.0");
}

/* Put new/ of each Maildir of batch into fds, once. returns how many */
static size_t
collect_directories(const struct maildir_batch *batch, int *fds)
{
    size_t count = 0;
    for (size_t i = 0; i < batch->file_count; i++) {
        int new = batch->files[i].slot->maildir.new;
        size_t at = count; /* the same as the one before, most of the time */
        while (at > 0 && fds[at - 1] != new)
            at--;
        if (!at)
            fds[count++] = new;
    }
    return count;
}

/* The names of a published batch may not be safe. Another try shall write its files anew:
 * what is in the page cache now cannot be trusted. */
static void
withdraw(struct maildir_batch *published)
{
    int error = errno;
    for (size_t i = 0; i < published->file_count; i++) {
        struct maildir_batch_file *file = &published->files[i];
        (void)unlinkat(file->slot->maildir.new, file->name.s, 0);
        errno = error;
        fail(published, file, "flush");
    }
}

static bool
publish_file(const struct maildir_batch_file *file)
{
    const struct maildir *maildir = &file->slot->maildir;
    if (maildir_publish(maildir, name_in_tmp(file), file->name.s) ==
        MAILDIR_PUBLISH_ERROR)
        return false;
    if (file->own.len)
        (void)unlinkat(maildir->tmp, file->name.s, 0); /* nobody needs it any more */
    return true;
}

static bool
publish(struct maildir_batch *filled)
{
    bool ok = true;
    for (size_t i = 0; i < filled->file_count; i++) {
        struct maildir_batch_file *file = &filled->files[i];
        if (file->fd < 0)
            continue; /* it was there before */
        bool closed = close(file->fd) == 0;
        file->fd = -1;
        if (closed && publish_file(file))
            continue;
        fail(filled, file, "write to");
        ok = false;
    }
    return ok;
}

bool
maildir_batch_turn(struct maildir_batch *filled, struct maildir_batch *published,
                   struct durable *durable)
{
    int fds[2 * MAILDIR_BATCH_FILES];
    size_t count = 0;

    /* Files first: the flush of a file also commits what has happened to the folders,
     * while that of a folder leaves the file's data for a second commit. */
    for (size_t i = 0; i < filled->file_count; i++)
        if (filled->files[i].fd >= 0)
            fds[count++] = filled->files[i].fd;
    count += collect_directories(published, fds + count);
    if (durable_flush(durable, fds, count))
        return publish(filled);
    int error = errno;
    withdraw(published);
    for (size_t i = 0; i < filled->file_count; i++) {
        remove_file(&filled->files[i]);
        errno = error;
        fail(filled, &filled->files[i], "flush");
    }
    return false;
}

void
maildir_batch_reset(struct maildir_batch *batch)
{
    for (size_t i = 0; i < batch->file_count; i++)
        batch->files[i].slot->users--;
    batch->file_count = batch->job_count = 0;
}

void
maildir_batch_free(struct maildir_batch *batch)
{
    maildir_batch_reset(batch);
    for (size_t i = 0; i < MAILDIR_BATCH_FILES; i++) {
        stralloc_free(&batch->files[i].name);
        stralloc_free(&batch->files[i].own);
    }
    for (size_t i = 0; i < MAILDIR_BATCH_JOBS; i++) {
        stralloc_free(&batch->jobs[i].number);
        local_result_free(&batch->jobs[i].result);
    }
}
