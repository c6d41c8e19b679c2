#include "delivery.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/types.h>

#include "bounce.h"
#include "job.h"
#include "mail_file.h"
#include "pass.h"
#include "send.h"
#include "text.h"
#include "work.h"

enum { REPORTS_PER_TURN = 256, REPORT_TEXT_AT = 2 };

static const char expired_text[] =
    "I'm not going to try again; this message has been in the queue too long.\n";

static const char *const channel_names[CHANNELS] = {"local", "remote"};

void
delivery_log_status(struct send *send)
{
    event_log_text(&send->log, "status:");
    for (int i = 0; i < CHANNELS; i++) {
        event_log_text(&send->log, " ");
        event_log_text(&send->log, channel_names[i]);
        event_log_text(&send->log, " ");
        event_log_number(&send->log, send->channels[i].job_count);
        event_log_text(&send->log, "/");
        event_log_number(&send->log, send->channels[i].limit);
    }
    if (send->is_exiting)
        event_log_text(&send->log, " exitasap");
    event_log_end(&send->log);
}

void
delivery_make_ready(struct send *send, struct destination *destination)
{
    struct channel *channel =
        &send->channels[destination->is_local ? CHANNEL_LOCAL : CHANNEL_REMOTE];
    if (destination->is_ready || !destination->waiting.count)
        return;
    destination->is_ready = true;
    destination->next_ready = NULL;
    if (channel->first_ready)
        channel->last_ready->next_ready = destination;
    else
        channel->first_ready = destination;
    channel->last_ready = destination;
}

static void
log_start(struct send *send, uint64_t number, const struct mail *mail)
{
    event_log_text(&send->log, "starting delivery ");
    event_log_number(&send->log, number);
    event_log_text(&send->log, ": msg ");
    event_log_number(&send->log, mail->id);
    event_log_text(&send->log, send->route.is_local ? " to local " : " to remote ");
    event_log_safe(&send->log, send->route.address.s);
    event_log_end(&send->log);
}

/* Log the beginning of each delivery of a job; its numbers follow each other. */
static void
log_job(struct send *send, const struct job *job)
{
    for (uint32_t i = 0; i < job->count; i++)
        if (route_find(&send->route, &send->config,
                       mail_recipient(job->mail, job->first + i)))
            log_start(send, job->number + i, job->mail);
    delivery_log_status(send);
}

/* One recipient has failed for good: a paragraph of the bounce. */
static void
fail_recipient(struct send *send, struct mail *mail, uint32_t index, const char *reason)
{
    mail->recipients[index].state = RECIPIENT_FAILED;
    mail->is_tried = true;
    if (!route_find(&send->route, &send->config, mail_recipient(mail, index)) ||
        !bounce_append_failure(&mail->failures,
                               send->route.address.s + send->route.prepend_len, reason))
        send_fail(send, "unable to keep a failure", errno);
}

static void
log_outcome(struct send *send, uint64_t number, const char *word, const char *text)
{
    event_log_text(&send->log, "delivery ");
    event_log_number(&send->log, number);
    event_log_text(&send->log, word);
    event_log_safe(&send->log, text);
    event_log_end(&send->log);
}

/* The reason of a temporary failure that has become final. */
static const char *
expired_reason(struct send *send, const char *text)
{
    const char *newline = *text && text[strlen(text) - 1] != '\n' ? "\n" : "";
    return text_copy(&send->scratch, text) && text_append(&send->scratch, newline) &&
                   text_append(&send->scratch, expired_text)
               ? send->scratch.s
               : expired_text;
}

void
delivery_expire(struct send *send, struct mail *mail, struct mail_group *group,
                const struct destination *destination)
{
    const char *text = destination->last_failure ? destination->last_failure : "";
    for (; group->next < group->end; group->next++) {
        uint64_t number = send->next_number++;
        if (route_find(&send->route, &send->config, mail_recipient(mail, group->next)))
            log_start(send, number, mail);
        log_outcome(send, number, ": failure: ", expired_reason(send, text));
        fail_recipient(send, mail, group->next, expired_reason(send, text));
    }
    pass_touch(send, mail);
}

/* Start the next job of the message that has waited longest before destination.
 * returns  false if the spawner takes nothing now */
static bool
start_next(struct send *send, struct channel *channel, struct destination *destination)
{
    uint64_t id = id_queue_take(&destination->waiting);
    struct mail *mail = mail_table_find(&send->mails, id);
    if (!mail)
        mail = work_reload(send, id, destination->hash);
    struct mail_group *group = mail ? mail_find_group(mail, destination->hash) : NULL;
    if (!group || group->next == group->end)
        return true;

    struct job job = {.mail = mail, .destination = destination, .first = group->next};
    enum job_status status = job_send(send, channel, &job, group);
    pass_touch(send, mail);
    if (status == JOB_TROUBLE || status == JOB_MOVED) {
        /* as if the destination paused, until the message is read anew */
        mail->fronts[destination->is_local].posted--;
        for (; group->next < group->end; group->next++)
            mail->recipients[group->next].state = RECIPIENT_SKIPPED;
        mail->skipped_until_s =
            send->now_s + (status == JOB_MOVED ? 0 : DESTINATION_FIRST_PAUSE_S);
        return true;
    }
    if (status == JOB_STARTED) {
        group->next += job.count;
        log_job(send, &job);
    }
    if (group->next == group->end)
        mail->fronts[destination->is_local].posted--;
    else if (!id_queue_put(&destination->waiting, id)) /* behind the others: fair */
        send_fail(send, "unable to remember a message", errno);
    return status == JOB_STARTED;
}

static bool
may_start(const struct channel *channel)
{
    return channel->first_ready && !channel->is_blocked &&
           channel->job_count < channel->limit;
}

static void
dispatch_channel(struct send *send, struct channel *channel)
{
    while (may_start(channel) && !send->is_fatal) {
        struct destination *destination = channel->first_ready;
        channel->first_ready = destination->next_ready;
        destination->is_ready = false;
        uint64_t limit = destination->is_local
                             ? job_local_limit(channel->limit, channel->job_count)
                             : send->config.concurrencydestination;
        /* without room it comes back when a job ends, or its pause */
        if (!destination->waiting.count ||
            !destination_may_start(destination, limit, send->now_s)) {
            (void)destination_release(&send->destinations, destination);
            continue;
        }
        channel->is_blocked = !start_next(send, channel, destination);
        delivery_make_ready(send, destination);
        (void)destination_release(&send->destinations, destination);
    }
}

bool
delivery_is_pending(const struct send *send)
{
    for (int i = 0; i < CHANNELS; i++)
        if (may_start(&send->channels[i]))
            return true;
    return false;
}

void
delivery_dispatch(struct send *send)
{
    if (send->is_exiting)
        return;
    for (int i = 0; i < CHANNELS; i++)
        dispatch_channel(send, &send->channels[i]);
}

/* Note what the spawner says of one recipient. returns its letter */
static char
note_report(struct send *send, const struct job *job, uint32_t index, const char *report)
{
    struct mail *mail = job->mail;
    struct mail_recipient *recipient = &mail->recipients[job->first + index];
    uint64_t number = job->number + index;

    if (*report == 'K') {
        recipient->state = RECIPIENT_DONE;
        mail->undone--;
        log_outcome(send, number, ": success: ", report + 1);
    } else if (*report == 'D') {
        log_outcome(send, number, ": failure: ", report + 1);
        fail_recipient(send, mail, job->first + index, report + 1);
    } else if (mail->is_expired) {
        const char *reason = expired_reason(send, report + 1);
        log_outcome(send, number, ": failure: ", reason);
        fail_recipient(send, mail, job->first + index, reason);
    } else {
        recipient->state = RECIPIENT_DEFERRED;
        mail->is_tried = true;
        log_outcome(send, number, ": deferral: ", report + 1);
    }
    return *report;
}

/* A spawner that says nonsense: nothing is known about these deliveries. */
static void
note_mangled(struct send *send, const struct job *job)
{
    for (uint32_t i = 0; i < job->count; i++) {
        log_outcome(send, job->number + i, ": report mangled, will defer", "");
        job->mail->recipients[job->first + i].state = RECIPIENT_DEFERRED;
    }
    job->mail->is_tried = true;
}

/* Has nobody answered at this destination? Codes of RFC 3463: 4.4.1 no answer from host,
 * 4.4.3 directory server failure. */
static bool
tells_of_no_answer(const char *report)
{
    return *report == 'Z' && (strstr(report, "(#4.4.1)") || strstr(report, "(#4.4.3)"));
}

static bool
is_sound(const struct handoff *packet, const struct job *job)
{
    for (uint32_t i = 0; i < job->count; i++) {
        const char *report = handoff_string(packet, REPORT_TEXT_AT + i);
        if (!report || !*report || !strchr("KZD", *report))
            return false;
    }
    return !handoff_string(packet, REPORT_TEXT_AT + job->count);
}

static void
finish_job(struct send *send, const struct job *job)
{
    const char *first = handoff_string(&send->packet, REPORT_TEXT_AT);
    bool is_dead = !job->destination->is_local;
    bool has_success = false;

    if (is_sound(&send->packet, job)) {
        for (uint32_t i = 0; i < job->count; i++) {
            const char *report = handoff_string(&send->packet, REPORT_TEXT_AT + i);
            has_success |= note_report(send, job, i, report) == 'K';
            is_dead &= tells_of_no_answer(report);
        }
    } else {
        note_mangled(send, job);
        is_dead = false;
    }
    /* a message that is done is removed at once: no need to mark it */
    if (has_success && job->mail->undone &&
        !mail_write_done(job->mail, job->first, job->count, RECIPIENT_DONE))
        event_log_line(&send->log, "warning: unable to mark a recipient as done", errno);
    job->mail->running--;
    job->destination->running--;
    delivery_log_status(send);
    pass_touch(send, job->mail);
    /* a try that began before the operator wanted all tried tells nothing of now */
    bool is_stale = job->number < send->wanted_number;
    if (!is_dead)
        destination_succeed(job->destination);
    else if (!is_stale && destination_fail(&send->destinations, job->destination,
                                           send->now_s, first + 1))
        pass_pause(send, job->destination);
    delivery_make_ready(send, job->destination);
    (void)destination_release(&send->destinations, job->destination);
}

void
delivery_receive(struct send *send, int index)
{
    struct channel *channel = &send->channels[index];
    for (int i = 0; i < REPORTS_PER_TURN && (i == 0 || channel->job_count); i++) {
        struct job job;
        enum handoff_status status = handoff_receive(channel->socket, &send->packet);
        if (status == HANDOFF_WAIT)
            return;
        if (status == HANDOFF_CLOSED) {
            send_fail(send,
                      index == CHANNEL_LOCAL
                          ? "oh no! lost the connection to qmail-lspawn"
                          : "oh no! lost the connection to qmail-rspawn",
                      0);
            return;
        }
        if (status == HANDOFF_ERROR && errno != EPROTO) {
            send_fail(send, "unable to read from a spawner", errno);
            return;
        }
        if (status == HANDOFF_DONE && job_take(channel, &send->packet, &job))
            finish_job(send, &job);
        else
            event_log_line(&send->log, "warning: a spawner said what makes no sense", 0);
    }
}
