#include "work.h"

#include <errno.h>

#include "delivery.h"
#include "mail_file.h"
#include "pass.h"
#include "send.h"

enum {
    FRESH_PER_TURN = 64,
    DUE_PER_TURN = 32,
    UNSEEN_BYTES_PER_TURN = 4 * 1024 * 1024, /* of messages read to be checked */
    RETRY_S = 60,                            /* after trouble with a file */
    LINKED_S = 1500,                         /* a snapshot made of hard links may go */
    HELD_S = 1500,
};

/* A file could not be read as a message. mark: how it is looked at again; as unseen,
 * since perhaps nothing has been logged of it yet */
static void
trouble(struct send *send, uint64_t id, enum mail_status status, enum schedule_mark mark)
{
    int error = errno;
    if (status == MAIL_BUSY || status == MAIL_ERROR) {
        if (status == MAIL_ERROR) {
            event_log_text(&send->log, "warning: unable to read msg ");
            event_log_number(&send->log, id);
            event_log_line(&send->log, ", will try again later", error);
        }
        uint64_t wait_s = status == MAIL_BUSY ? 1 : error == EMLINK ? LINKED_S : RETRY_S;
        pass_schedule(send, id, send->now_s + wait_s, mark);
        return;
    }
    if (status == MAIL_BAD) {
        bool moved = mail_set_aside(id);
        if (!moved && errno == EWOULDBLOCK) {
            pass_schedule(send, id, send->now_s + 1, mark);
            return;
        }
        int why = moved ? 0 : errno;
        event_log_text(&send->log, "alert: no valid message, ");
        event_log_text(&send->log, moved ? "moved to queue/bad: msg "
                                         : "and unable to move it to queue/bad: msg ");
        event_log_number(&send->log, id);
        event_log_line(&send->log, "", why);
        if (!moved) {
            pass_schedule(send, id, send->now_s + SCAN_INTERVAL_S, mark);
            return;
        }
    }
    id_set_remove(&send->known, id);
}

static void
log_new(struct send *send, const struct mail *mail)
{
    struct event_log *log = &send->log;
    event_log_text(log, "new msg ");
    event_log_number(log, mail->id);
    event_log_text(log, "\ninfo msg ");
    event_log_number(log, mail->id);
    event_log_text(log, ": bytes ");
    event_log_number(log, mail->file.message_len);
    event_log_text(log, " from <");
    event_log_safe(log, mail_sender(mail));
    event_log_text(log, "> qp ");
    event_log_number(log, mail->qp);
    event_log_text(log, " uid ");
    event_log_number(log, mail->uid);
    event_log_end(log);
}

/* Read the file and put it into send->mails. returns null if that is all for now */
static struct mail *
read_mail(struct send *send, uint64_t id, bool is_first)
{
    struct mail *mail;
    send->bytes_id = id;
    enum mail_status status = mail_read(&mail, id, &send->bytes);
    if (status == MAIL_GONE && !is_first) {
        event_log_text(&send->log, "warning: somebody removed msg ");
        event_log_number(&send->log, id);
        event_log_text(&send->log, "\nend msg ");
        event_log_number(&send->log, id);
        event_log_end(&send->log);
    }
    if (status != MAIL_OK) {
        trouble(send, id, status, SCHEDULE_UNSEEN_DUE);
        return NULL;
    }
    if (is_first && mail->file.header.tries == 0)
        log_new(send, mail);
    mail->is_expired = send->now_s > mail->birth_s &&
                       send->now_s - mail->birth_s > send->config.queuelifetime_s;
    mail->skipped_until_s = UINT64_MAX;
    bool made = mail_make_groups(mail, &send->config, &send->destinations, &send->route);
    mail_table_add(&send->mails, mail);
    if (!made) {
        send_fail(send, "unable to find the way of a message", errno);
        return NULL;
    }
    if (!mail->recipient_count) {
        pass_finish(send, mail);
        return NULL;
    }
    if (mail->file.header.flags & QUEUE_FLAG_HELD) {
        pass_schedule(send, id, send->now_s + HELD_S, SCHEDULE_SEEN);
        mail_table_destroy(&send->mails, mail);
        return NULL;
    }
    return mail;
}

/* Begin a pass. */
static void
begin(struct send *send, struct mail *mail)
{
    if (pass_is_too_much(send, mail)) {
        pass_schedule(send, mail->id, send->now_s + RETRY_S, SCHEDULE_SEEN);
        mail_table_destroy(&send->mails, mail);
        return;
    }
    pass_post_groups(send, mail);
    pass_touch(send, mail);
    delivery_dispatch(send);
    pass_settle(send);
}

struct mail *
work_reload(struct send *send, uint64_t id, uint64_t destination)
{
    struct mail *mail = read_mail(send, id, false);
    if (!mail)
        return NULL;
    pass_touch(send, mail);
    if (mail->group_count == 1 && mail_find_group(mail, destination)) {
        mail->fronts[mail->recipients->is_local] = (struct mail_front){1, 1};
        mail->fronts[!mail->recipients->is_local].next = 1;
        return mail;
    }
    /* control/ has changed since: it goes elsewhere now */
    pass_post_groups(send, mail);
    return NULL;
}

/* A file found in the directory: is it a message, and when is it due? */
static void
look_at_unseen(struct send *send, struct mail_check *found, enum schedule_mark mark)
{
    send->bytes_id = found->id;
    mail_check_end(found, &send->scratch, &send->bytes);
    if (found->status != MAIL_OK) {
        trouble(send, found->id, found->status, mark);
        return;
    }
    /* a try that is further away than any could be: the clock that planned it erred */
    if (mark == SCHEDULE_UNSEEN && found->next_try_s > send->now_s &&
        found->next_try_s - send->now_s <= send->config.queuelifetime_s) {
        pass_schedule(send, found->id, found->next_try_s, SCHEDULE_SEEN);
        return;
    }
    struct mail *mail = read_mail(send, found->id, true);
    if (mail)
        begin(send, mail);
}

static void
work_fresh(struct send *send)
{
    for (int i = 0; i < FRESH_PER_TURN && send->fresh.count; i++) {
        struct mail *mail = read_mail(send, id_queue_take(&send->fresh), true);
        if (mail)
            begin(send, mail);
    }
}

static void
work_due(struct send *send)
{
    uint64_t id, due_s;
    enum schedule_mark mark;
    /* a disk is slow: what it has to read is told to it at once, then all is looked at */
    struct mail_check unseen[DUE_PER_TURN];
    enum schedule_mark marks[DUE_PER_TURN];
    int unseen_count = 0;
    uint64_t bytes = 0;
    for (int i = 0; i < DUE_PER_TURN && bytes < UNSEEN_BYTES_PER_TURN; i++) {
        if (!schedule_first(&send->due, &id, &due_s, &mark) || due_s > send->now_s)
            break;
        schedule_remove_first(&send->due);
        if (mark != SCHEDULE_SEEN) {
            send->unseen--;
            marks[unseen_count] = mark;
            mail_check_begin(&unseen[unseen_count], id);
            bytes += unseen[unseen_count++].bytes;
            continue;
        }
        struct mail *mail = read_mail(send, id, false);
        if (mail)
            begin(send, mail);
    }
    for (int i = 0; i < unseen_count; i++)
        look_at_unseen(send, &unseen[i], marks[i]);
}

static void
wake_destinations(struct send *send)
{
    struct destination *woken;
    while ((woken = destination_wake(&send->destinations, send->now_s)))
        delivery_make_ready(send, woken);
}

void
work_slice(struct send *send)
{
    if (send->is_exiting) {
        pass_settle(send);
        return;
    }
    wake_destinations(send);
    work_fresh(send);
    work_due(send);
    delivery_dispatch(send);
    pass_settle(send);
}

bool
work_is_pending(const struct send *send)
{
    return !send->is_exiting &&
           (send->fresh.count || send->scan.is_running || send->scan.is_wanted ||
            send->first_touched || delivery_is_pending(send));
}

uint64_t
work_next_s(const struct send *send)
{
    uint64_t id, due_s, next_s = send->scan.next_s;
    enum schedule_mark unused;
    if (send->is_exiting)
        return UINT64_MAX;
    if (schedule_first(&send->due, &id, &due_s, &unused) && due_s < next_s)
        next_s = due_s;
    if (schedule_first(&send->destinations.wake, &id, &due_s, &unused) && due_s < next_s)
        next_s = due_s;
    return next_s;
}

void
work_add_fresh(struct send *send, uint64_t id)
{
    if (!id || id_set_has(&send->known, id))
        return;
    if (!id_set_add(&send->known, id) || !id_queue_put(&send->fresh, id))
        send_fail(send, "unable to remember a message", errno);
}

void
work_all_due(struct send *send)
{
    schedule_all_due(&send->due, 0);
    scan_all_due(send);
    pass_all_due(send);
    send->bounces.retry_s = 0;
    send->bounces.unreadable_s = 0;
    send->wanted_number = send->next_number;
    for (size_t i = 0; i < send->destinations.size; i++) {
        struct destination *each = send->destinations.buckets[i];
        for (; each; each = each->chain) {
            each->retry_s = 0;
            delivery_make_ready(send, each);
        }
    }
}
