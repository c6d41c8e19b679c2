#include "job.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/djbunix.h>
#include <skalibs/types.h>

#include "mail_file.h"
#include "send.h"
#include "text.h"

enum { STRINGS_MAX = HANDOFF_STRINGS_MAX - 8 * 1024 };

uint64_t
job_local_limit(uint64_t limit, uint64_t running)
{
    return running < limit ? 4 * (limit - running) : 0;
}

/* "job", number, queue id, message length, sender, destination, host */
static bool
append_start(struct send *send, stralloc *strings, const struct job *job)
{
    const struct mail *mail = job->mail;
    const struct route *route = &send->route;
    stralloc sender = STRALLOC_ZERO;

    bool ok = text_append_string(strings, "job") &&
              text_append_number_string(strings, job->number) &&
              text_append_number_string(strings, mail->id) &&
              text_append_number_string(strings, mail->file.message_len) &&
              route_expand_sender(&sender, mail_sender(mail),
                                  route->address.s + route->prepend_len) &&
              text_append_string(strings, sender.s) &&
              text_append_string(strings, route->is_local ? "" : route->destination.s) &&
              text_append_string(strings, route->host.s);
    stralloc_free(&sender);
    return ok;
}

/* Fill strings with as many recipients as a job may have. returns false: no memory */
static bool
gather(struct send *send, struct job *job, const struct mail_group *group,
       stralloc *strings)
{
    const struct mail *mail = job->mail;
    uint64_t most = send->config.maxremoterecipients;

    strings->len = 0;
    job->count = 0;
    while (job->first + job->count < group->end && job->count < most &&
           strings->len < STRINGS_MAX) {
        if (!route_find(&send->route, &send->config,
                        mail_recipient(mail, job->first + job->count)))
            return false;
        /* what control/ says may have changed since the message was read */
        if (send->route.is_local != job->destination->is_local ||
            strcmp(send->route.destination.s, job->destination->name))
            break;
        if (!job->count) {
            if (send->route.is_local || route_is_verp(mail_sender(mail)))
                most = 1;
            if (!append_start(send, strings, job))
                return false;
        }
        if (!text_append_string(strings, send->route.address.s))
            return false;
        job->count++;
    }
    return true;
}

/* Read a small message, unless it was the one read last. */
static bool
read_body(struct send *send, const struct mail *mail, int fd)
{
    size_t len = (size_t)mail->file.message_len;
    send->bytes_id = mail->id;
    send->bytes.len = 0;
    if (!stralloc_ready(&send->bytes, len + 1))
        return false;
    ssize_t got;
    do
        got = pread(fd, send->bytes.s, len, 0);
    while (got < 0 && errno == EINTR);
    if (got >= 0 && (size_t)got != len)
        errno = EIO;
    if (got < 0 || (size_t)got != len)
        return false;
    send->bytes.len = len;
    return true;
}

/* Send strings with the message: small ones as bytes, others as a descriptor. */
static enum handoff_status
send_packet(struct send *send, const struct channel *channel, const struct mail *mail,
            const stralloc *strings)
{
    struct handoff_parts parts = {.strings = strings->s, .strings_len = strings->len};
    bool is_small = mail->file.message_len <= HANDOFF_BODY_MAX;
    bool is_here = is_small && send->bytes_id == mail->id &&
                   send->bytes.len >= mail->file.message_len;
    int fd = -1;

    if (!is_here && !mail->body) {
        fd = mail_open(mail);
        if (fd < 0 || (is_small && !read_body(send, mail, fd))) {
            if (fd >= 0)
                fd_close(fd);
            return HANDOFF_ERROR;
        }
    }
    if (is_small) {
        parts.body = mail->body ? mail->body : send->bytes.s;
        parts.body_len = (size_t)mail->file.message_len;
    } else {
        parts.fds = &fd;
        parts.fd_count = 1;
    }
    enum handoff_status status = handoff_send(channel->socket, &parts);
    if (fd >= 0)
        fd_close(fd);
    return status;
}

static bool
remember(struct channel *channel, const struct job *job)
{
    if (channel->job_count == channel->job_room) {
        size_t room = channel->job_room * 2 + 16;
        struct job *jobs = reallocarray(channel->jobs, room, sizeof *jobs);
        if (!jobs)
            return false;
        channel->jobs = jobs;
        channel->job_room = room;
    }
    channel->jobs[channel->job_count++] = *job;
    return true;
}

static enum job_status
start(struct send *send, struct channel *channel, struct job *job)
{
    if (!remember(channel, job)) {
        send_fail(send, "unable to remember a job", errno);
        return JOB_TROUBLE;
    }
    for (uint32_t i = 0; i < job->count; i++)
        job->mail->recipients[job->first + i].state = RECIPIENT_RUNNING;
    job->mail->running++;
    job->destination->running++;
    send->next_number += job->count;
    return JOB_STARTED;
}

enum job_status
job_send(struct send *send, struct channel *channel, struct job *job,
         const struct mail_group *group)
{
    stralloc strings = STRALLOC_ZERO;
    job->number = send->next_number;
    bool ok = gather(send, job, group, &strings);
    if (ok && !job->count) {
        stralloc_free(&strings);
        return JOB_MOVED;
    }
    enum handoff_status status =
        ok ? send_packet(send, channel, job->mail, &strings) : HANDOFF_ERROR;
    int error = errno;
    stralloc_free(&strings);
    switch (status) {
    case HANDOFF_DONE:
        return start(send, channel, job);
    case HANDOFF_WAIT:
    case HANDOFF_CLOSED: /* delivery_receive() will see it */
        return JOB_BLOCKED;
    case HANDOFF_ERROR:
        break;
    }
    event_log_text(&send->log, "warning: unable to hand over msg ");
    event_log_number(&send->log, job->mail->id);
    event_log_line(&send->log, ", will try again later", error);
    return JOB_TROUBLE;
}

bool
job_take(struct channel *channel, const struct handoff *packet, struct job *job)
{
    const char *word = handoff_string(packet, 0);
    const char *text = handoff_string(packet, 1);
    uint64_t number;
    if (!word || strcmp(word, "report") != 0 || !text || !uint640_scan(text, &number))
        return false;
    for (size_t i = 0; i < channel->job_count; i++)
        if (channel->jobs[i].number == number) {
            *job = channel->jobs[i];
            channel->jobs[i] = channel->jobs[--channel->job_count];
            return true;
        }
    return false;
}
