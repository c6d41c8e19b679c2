#include "pass.h"

#include <errno.h>

#include "delivery.h"
#include "mail_file.h"
#include "send.h"

enum {
    POSTED_MIN = 20,
    MEMORY_MAX = 64 * 1024 * 1024, /* of messages that cannot wait on disk */
    SMALL_RECIPIENTS = 100,        /* cheap to read again */
    KEEP_MAX = 4 * 1024 * 1024,    /* below, what waits for its turn is not read again */
    FULL_RETRY_S = 60,             /* when there are too many destinations to remember */
    UNLINK_RETRY_S = 60,
};

void
pass_touch(struct send *send, struct mail *mail)
{
    if (mail->is_touched || mail->is_bouncing)
        return;
    mail->is_touched = true;
    mail->next_touched = send->first_touched;
    send->first_touched = mail;
}

void
pass_schedule(struct send *send, uint64_t id, uint64_t due_s, enum schedule_mark mark)
{
    if (!schedule_add(&send->due, id, due_s, mark))
        send_fail(send, "unable to remember a message", errno);
    if (mark != SCHEDULE_SEEN)
        send->unseen++;
}

bool
pass_is_too_much(const struct send *send, const struct mail *mail)
{
    return mail->group_count > 1 && send->mails.count > 1 &&
           send->mails.bytes > MEMORY_MAX;
}

static void
skip_group(struct send *send, struct mail *mail, struct mail_group *group,
           uint64_t until_s)
{
    for (; group->next < group->end; group->next++)
        mail->recipients[group->next].state = RECIPIENT_SKIPPED;
    if (until_s < mail->skipped_until_s)
        mail->skipped_until_s = until_s;
    pass_touch(send, mail);
}

/* The destination of a group; null: there are too many already. */
static struct destination *
destination_of(struct send *send, const struct mail *mail, const struct mail_group *group)
{
    struct destination_table *table = &send->destinations;
    uint64_t hash = mail->recipients[group->next].destination;
    struct destination *found = destination_find(table, hash);
    if (found || table->count >= DESTINATION_COUNT_MAX)
        return found;
    if (route_find(&send->route, &send->config, mail_recipient(mail, group->next)))
        found =
            destination_get(table, hash, send->route.is_local, send->route.destination.s);
    if (!found)
        send_fail(send, "unable to remember a destination", errno);
    return found;
}

/* Can mail wait before one destination without being in memory? */
static bool
can_wait_on_disk(const struct mail *mail)
{
    return mail->group_count == 1 && !mail->is_tried && !mail->running;
}

static void
post_group(struct send *send, struct mail *mail, struct mail_group *group)
{
    struct destination *destination = destination_of(send, mail, group);
    if (!destination) {
        skip_group(send, mail, group, send->now_s + FULL_RETRY_S);
        return;
    }
    if (destination_is_paused(destination, send->now_s)) {
        if (mail->is_expired) {
            delivery_expire(send, mail, group, destination);
            return;
        }
        if (!can_wait_on_disk(mail)) {
            skip_group(send, mail, group, destination->retry_s);
            return;
        }
    }
    if (!id_queue_put(&destination->waiting, mail->id)) {
        send_fail(send, "unable to remember a message", errno);
        return;
    }
    mail->fronts[destination->is_local].posted++;
    delivery_make_ready(send, destination);
}

static void
post_front(struct send *send, struct mail *mail, bool is_local)
{
    struct mail_front *front = &mail->fronts[is_local];
    uint64_t limit = send->channels[is_local ? CHANNEL_LOCAL : CHANNEL_REMOTE].limit;
    uint64_t most = limit > POSTED_MIN ? limit : POSTED_MIN;

    while (front->next < mail->group_count && front->posted < most) {
        struct mail_group *group = &mail->groups[front->next++];
        if (mail->recipients[group->end - 1].is_local == is_local)
            post_group(send, mail, group);
    }
}

void
pass_post_groups(struct send *send, struct mail *mail)
{
    post_front(send, mail, true);
    post_front(send, mail, false);
}

void
pass_finish(struct send *send, struct mail *mail)
{
    if (!mail_unlink(mail->id)) {
        event_log_text(&send->log, "warning: unable to remove msg ");
        event_log_number(&send->log, mail->id);
        event_log_line(&send->log, ", will try again later", errno);
        /* what was not marked would be delivered once more */
        (void)mail_write_done(mail, 0, mail->recipient_count, RECIPIENT_DONE);
        (void)mail_write_done(mail, 0, mail->recipient_count, RECIPIENT_FAILED);
        pass_schedule(send, mail->id, send->now_s + UNLINK_RETRY_S, SCHEDULE_SEEN);
    } else {
        event_log_text(&send->log, "end msg ");
        event_log_number(&send->log, mail->id);
        event_log_end(&send->log);
        id_set_remove(&send->known, mail->id);
    }
    mail_table_destroy(&send->mails, mail);
}

struct pass_result {
    bool is_over; /* every recipient is done, or has failed */
    bool has_failed;
    bool has_deferred;
    bool has_local; /* among the deferred */
};

static struct pass_result
result_of(const struct mail *mail)
{
    struct pass_result result = {.is_over = true};
    for (uint32_t i = 0; i < mail->recipient_count; i++) {
        const struct mail_recipient *each = &mail->recipients[i];
        if (each->state == RECIPIENT_DONE)
            continue;
        if (each->state == RECIPIENT_FAILED) {
            result.has_failed = true;
            continue;
        }
        result.is_over = false;
        if (each->state == RECIPIENT_DEFERRED) {
            result.has_deferred = true;
            result.has_local |= each->is_local;
        }
    }
    return result;
}

static void
warn_unmarked(struct send *send, const struct mail *mail)
{
    event_log_text(&send->log, "warning: unable to mark msg ");
    event_log_number(&send->log, mail->id);
    event_log_line(&send->log, ", a delivery may be repeated", errno);
}

/* Some recipients remain: plan the next pass. A message with local and remote recipients
 * follows the local plan, which is the faster one. */
static void
plan_next(struct send *send, struct mail *mail, struct pass_result result)
{
    struct queue_header *header = &mail->file.header;
    uint64_t due_s = send->now_s + 1;

    if (result.has_failed &&
        !mail_write_done(mail, 0, mail->recipient_count, RECIPIENT_FAILED))
        warn_unmarked(send, mail);
    if (result.has_deferred) {
        due_s = schedule_retry_time(mail->birth_s, send->now_s,
                                    result.has_local ? SCHEDULE_SKIP_LOCAL
                                                     : SCHEDULE_SKIP_REMOTE);
        header->next_try_s = due_s;
        if (header->tries < UINT32_MAX)
            header->tries++;
        if (!mail_write_header(mail))
            warn_unmarked(send, mail);
    } else if (mail->skipped_until_s != UINT64_MAX && mail->skipped_until_s > due_s) {
        due_s = mail->skipped_until_s;
    }
    /* a restart does not know of the operator's wish: it goes by the header */
    if (mail->is_wanted)
        due_s = send->now_s;
    pass_schedule(send, mail->id, due_s, SCHEDULE_SEEN);
    mail_table_destroy(&send->mails, mail);
}

void
pass_bounced(struct send *send, struct mail *mail)
{
    struct pass_result result = result_of(mail);
    if (result.is_over)
        pass_finish(send, mail);
    else
        plan_next(send, mail, result);
}

/* A message waits before its destination: drop it, or keep it if memory is plenty and
 * it is at hand. A message in a long queue costs 40 bytes, one in a short queue no
 * second look at its file. */
static void
wait_on_disk(struct send *send, struct mail *mail)
{
    const struct destination *destination =
        destination_find(&send->destinations, mail->recipients[0].destination);
    bool is_long = destination && destination_is_paused(destination, send->now_s);

    if (is_long) {
        mail_table_destroy(&send->mails, mail);
        return;
    }
    if (!mail->body && send->bytes_id == mail->id && send->mails.bytes < KEEP_MAX &&
        mail->file.message_len <= HANDOFF_BODY_MAX &&
        send->bytes.len >= mail->file.message_len)
        mail_table_keep_body(&send->mails, mail, send->bytes.s);
    if (!mail->body)
        mail_table_destroy(&send->mails, mail);
}

static void
settle(struct send *send, struct mail *mail)
{
    if (!send->is_exiting)
        pass_post_groups(send, mail);
    /* only now: what was skipped there touched it, and below it may be freed */
    mail->is_touched = false;
    if (mail->running)
        return;
    if (mail->fronts[false].posted || mail->fronts[true].posted) {
        if (can_wait_on_disk(mail) &&
            (mail->recipient_count <= SMALL_RECIPIENTS || send->mails.bytes > MEMORY_MAX))
            wait_on_disk(send, mail);
        return;
    }
    if (mail->failures.len) {
        mail->is_bouncing = true;
        bounce_add(send, mail);
        return;
    }
    pass_bounced(send, mail);
}

void
pass_settle(struct send *send)
{
    while (send->first_touched) {
        struct mail *mail = send->first_touched;
        send->first_touched = mail->next_touched;
        settle(send, mail);
    }
}

/* Has a message been in the queue for too long, as far as its id tells? */
static bool
looks_expired(const struct send *send, uint64_t id)
{
    uint64_t born_s = id / 1000000;
    return born_s < send->now_s && send->now_s - born_s > send->config.queuelifetime_s;
}

void
pass_pause(struct send *send, struct destination *destination)
{
    if (send->is_exiting)
        return;
    for (size_t left = destination->waiting.count; left; left--) {
        uint64_t id = id_queue_take(&destination->waiting);
        struct mail *mail = mail_table_find(&send->mails, id);
        struct mail_group *group = mail ? mail_find_group(mail, destination->hash) : NULL;
        if (!mail && looks_expired(send, id)) {
            pass_schedule(send, id, send->now_s, SCHEDULE_SEEN);
        } else if (!mail || (can_wait_on_disk(mail) && !mail->is_expired)) {
            if (!id_queue_put(&destination->waiting, id))
                send_fail(send, "unable to remember a message", errno);
            if (mail)
                pass_touch(send, mail);
        } else {
            mail->fronts[destination->is_local].posted--;
            if (mail->is_expired)
                delivery_expire(send, mail, group, destination);
            else
                skip_group(send, mail, group, destination->retry_s);
            pass_touch(send, mail);
        }
    }
}

void
pass_all_due(struct send *send)
{
    for (size_t i = 0; i < MAIL_TABLE_BUCKETS; i++)
        for (struct mail *mail = send->mails.buckets[i]; mail; mail = mail->chain)
            mail->is_wanted |=
                mail->is_tried || mail->running || mail->skipped_until_s != UINT64_MAX;
}

void
pass_stop(struct send *send)
{
    for (size_t i = 0; i < MAIL_TABLE_BUCKETS; i++)
        for (struct mail *mail = send->mails.buckets[i]; mail; mail = mail->chain) {
            const struct mail_front over = {.next = mail->group_count};
            mail->fronts[false] = mail->fronts[true] = over;
            pass_touch(send, mail);
        }
}
