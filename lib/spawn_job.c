#include "spawn_job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>

#include <skalibs/types.h>

#include "text.h"

enum { LEADING_STRINGS = 7 }; /* before the recipients */

static const char mangled[] = "Zthe spawner got a mangled job (#4.3.0)\n";
static const char unreadable[] = "Zthe message cannot be read or copied now (#4.3.0)\n";

void
spawn_job_free(struct spawn_job *job)
{
    if (!job)
        return;
    message_close(&job->message);
    stralloc_free(&job->strings);
    stralloc_free(&job->key);
    stralloc_free(&job->request);
    free(job);
}

/* Point the members of job at its strings. returns false when they are not a job */
static bool
dissect(struct spawn_job *job, uint64_t *length)
{
    const char *strings[LEADING_STRINGS] = {0};
    unsigned int count = 0;
    uint64_t number;

    for (size_t at = 0; at < job->strings.len; at += strlen(job->strings.s + at) + 1) {
        if (count < LEADING_STRINGS)
            strings[count] = job->strings.s + at;
        else if (count == LEADING_STRINGS)
            job->recipients = job->strings.s + at;
        count++;
    }
    if (count < 2 || strcmp(strings[0], "job") != 0 || !uint640_scan(strings[1], &number))
        return false;
    job->number = strings[1];
    job->recipient_count = count > LEADING_STRINGS ? count - LEADING_STRINGS : 1;
    if (count <= LEADING_STRINGS || !uint640_scan(strings[3], length))
        return false;
    job->id = strings[2];
    job->sender = strings[4];
    job->destination = strings[5];
    job->host = strings[6];
    return true;
}

static bool
take_message(struct spawn_job *job, struct handoff *packet, uint64_t length,
             const char *dir)
{
    struct stat status;

    if (!packet->fd_count)
        return packet->body_len == length && message_take(&job->message, packet);
    /* a regular file cannot make us wait, and is not longer than it is */
    return fstat(packet->fds[0], &status) == 0 && S_ISREG(status.st_mode) &&
           (uint64_t)status.st_size >= length &&
           message_copy(&job->message, packet->fds[0], length, dir);
}

struct spawn_job *
spawn_job_take(struct handoff *packet, const char *dir)
{
    uint64_t length;

    struct spawn_job *job = calloc(1, sizeof *job);
    if (!job)
        return NULL;
    job->message.fd = -1;
    const char *first = handoff_string(packet, 0);
    if (!text_copy_bytes(&job->strings, first ? first : "", packet->strings_len)) {
        spawn_job_free(job);
        errno = ENOMEM;
        return NULL;
    }
    if (!dissect(job, &length))
        job->verdict = mangled;
    else if (!take_message(job, packet, length, dir))
        job->verdict = unreadable;
    return job;
}

void
spawn_line_append(struct spawn_line *line, struct spawn_job *job)
{
    struct spawn_job **end = &line->first;
    while (*end)
        end = &(*end)->next;
    job->next = NULL;
    *end = job;
}

struct spawn_job *
spawn_line_take(struct spawn_line *line)
{
    struct spawn_job *job = line->first;
    if (job) {
        line->first = job->next;
        job->next = NULL;
    }
    return job;
}
