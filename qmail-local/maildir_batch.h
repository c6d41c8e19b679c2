#ifndef MAILDIR_BATCH_H
#define MAILDIR_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include <skalibs/stralloc.h>

#include "durable.h"
#include "local_result.h"
#include "maildir_cache.h"

/* Many deliveries to Maildirs with few flushes of the disk. A batch is
 *
 *   filled     files are written in tmp/
 *   flushed    their data is safe
 *   published  they are renamed into new/; users see them
 *   flushed    their names are safe: now the jobs are reported as done
 *
 * Under load the second flush of a batch is the first one of the next. */

enum { MAILDIR_BATCH_FILES = 128, MAILDIR_BATCH_JOBS = 128 };

struct maildir_batch_file {
    struct maildir_slot *slot;
    int fd; /* of the file in tmp/; -1 once it is published, or if it was there before */
    stralloc name;
    stralloc own; /* its name in tmp/ if that is another one, else empty */
    size_t job;   /* index */
};

struct maildir_batch_job {
    stralloc number; /* of the delivery, for the report */
    struct local_result result;
    unsigned int files;
};

struct maildir_batch {
    struct maildir_batch_file files[MAILDIR_BATCH_FILES];
    struct maildir_batch_job jobs[MAILDIR_BATCH_JOBS];
    size_t file_count, job_count;
};

/* Is there room for a job with this many files? */
bool maildir_batch_has_room(const struct maildir_batch *batch, unsigned int files);

/* Begin a job: files that are added belong to it. returns true, or false with errno */
bool maildir_batch_begin(struct maildir_batch *batch, const char *number);

/* Write a file for the job begun last.
 * slot     from the cache; used until the batch is finished
 * name     made by maildir_make_name()
 * returns  true; false with errno: call maildir_batch_cancel() */
bool maildir_batch_add(struct maildir_batch *batch, struct maildir_slot *slot,
                       const stralloc *name, const struct local_job *job,
                       const struct local_lines *lines);

/* Forget the job begun last and remove its files. */
void maildir_batch_cancel(struct maildir_batch *batch);

/* Flush what filled has written and, in the same flush, the names of published; then
 * publish filled. Failures are noted in the jobs' results.
 * returns  true: every job went well so far */
bool maildir_batch_turn(struct maildir_batch *filled, struct maildir_batch *published,
                        struct durable *durable);

/* Empty a batch whose jobs have been reported. */
void maildir_batch_reset(struct maildir_batch *batch);

void maildir_batch_free(struct maildir_batch *batch);

#endif
