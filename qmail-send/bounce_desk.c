#include "bounce.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/djbunix.h>

#include "mail_file.h"
#include "pass.h"
#include "send.h"

enum { COPY_CHUNK = 64 * 1024 };

/* Notices on their way into the queue: several at a time, without waiting for any. */

void
bounce_desk_init(struct bounce_desk *desk)
{
    memset(desk, 0, sizeof *desk);
    for (size_t i = 0; i < BOUNCE_SLOTS; i++) {
        injection_init(&desk->slots[i].injection);
        desk->slots[i].injection.program =
            NULL; /* a filter must not see, or stop, bounces */
    }
}

bool
bounce_is_idle(const struct bounce_desk *desk)
{
    for (size_t i = 0; i < BOUNCE_SLOTS; i++)
        if (desk->slots[i].mail)
            return false;
    return !desk->first;
}

uint64_t
bounce_next_s(const struct bounce_desk *desk)
{
    uint64_t next_s = UINT64_MAX;
    bool is_free = false;
    for (size_t i = 0; i < BOUNCE_SLOTS; i++) {
        const struct bounce_slot *slot = &desk->slots[i];
        is_free |= !slot->mail;
        if (slot->mail && slot->deadline_s < next_s)
            next_s = slot->deadline_s;
    }
    if (desk->first && is_free && desk->retry_s < next_s)
        next_s = desk->retry_s;
    return next_s;
}

static void
put_last(struct bounce_desk *desk, struct mail *mail)
{
    mail->next = NULL;
    if (desk->first)
        desk->last->next = mail;
    else
        desk->first = mail;
    desk->last = mail;
}

void
bounce_add(struct send *send, struct mail *mail)
{
    enum bounce_kind kind = bounce_kind_of(mail_sender(mail));
    bool is_discarded = kind == BOUNCE_TRIPLE ||
                        (kind == BOUNCE_DOUBLE && !send->config.doublebounceto.len);
    if (!is_discarded) {
        put_last(&send->bounces, mail);
        return;
    }
    event_log_text(&send->log, kind == BOUNCE_TRIPLE
                                   ? "triple bounce: discarding bounce/"
                                   : "double bounce: discarding bounce/");
    event_log_number(&send->log, mail->id);
    event_log_end(&send->log);
    pass_bounced(send, mail);
}

/* Copy the original, or its first bytes, into the notice. */
static bool
copy_message(struct send *send, struct injection *injection, const struct mail *mail)
{
    uint64_t left = mail->file.message_len;
    uint64_t most = send->config.bouncemaxbytes;
    bool is_cut = most && left > most;
    char *chunk = malloc(COPY_CHUNK);
    int fd = mail_open(mail);
    off_t offset = 0;
    bool ok = chunk && fd >= 0;

    if (is_cut)
        left = most;
    while (ok && left) {
        ssize_t got = pread(fd, chunk, left < COPY_CHUNK ? left : COPY_CHUNK, offset);
        if (got < 0 && errno == EINTR)
            continue;
        ok = got > 0 && injection_put(injection, chunk, (size_t)got);
        if (ok) {
            offset += got;
            left -= (uint64_t)got;
        }
    }
    if (ok && is_cut)
        ok = injection_put(injection, "\n\n--- Rest of message not copied.\n", 34);
    if (fd >= 0)
        fd_close(fd);
    free(chunk);
    return ok;
}

static bool
submit(struct send *send, struct injection *injection, const struct mail *mail)
{
    const char *sender = mail_sender(mail);
    enum bounce_kind kind = bounce_kind_of(sender);
    struct injection_receipt receipt = {0};
    stralloc recipient = STRALLOC_ZERO;

    injection_start(injection);
    bool ok = bounce_make_text(&send->scratch, &send->config, kind, sender,
                               &mail->failures, send->now_s) &&
              injection_put(injection, send->scratch.s, send->scratch.len) &&
              copy_message(send, injection, mail) &&
              bounce_find_recipient(&recipient, &send->config, kind, sender) &&
              injection_sender(injection, kind == BOUNCE_SINGLE ? "" : "#@[]") &&
              injection_recipient(injection, recipient.s) &&
              injection_submit(injection, &receipt);
    if (!ok)
        injection_abandon(injection);
    stralloc_free(&recipient);
    stralloc_free(&receipt.text);
    return ok;
}

static void
will_try_later(struct send *send, struct mail *mail, const char *why)
{
    event_log_text(&send->log, "warning: trouble injecting the bounce of msg ");
    event_log_number(&send->log, mail->id);
    event_log_text(&send->log, ", will try again later: ");
    event_log_line(&send->log, why, 0);
    put_last(&send->bounces, mail);
    send->bounces.retry_s = send->now_s + BOUNCE_RETRY_S;
}

static bool
has_gone(const struct mail *mail)
{
    int fd = mail_open(mail);
    if (fd >= 0)
        close(fd);
    return fd < 0 && errno == ENOENT;
}

/* Not queued. A message that somebody has removed needs no notice; it would be tried for
 * ever, and others with it. */
static void
not_submitted(struct send *send, struct mail *mail)
{
    if (!has_gone(mail)) {
        will_try_later(send, mail, "the queue cannot be reached");
        return;
    }
    event_log_text(&send->log, "warning: somebody removed msg ");
    event_log_number(&send->log, mail->id);
    event_log_line(&send->log, "", 0);
    pass_finish(send, mail);
}

/* Nobody answers: close the connection, lest a late answer be taken for another one. */
static void
give_up(struct send *send, struct bounce_slot *slot)
{
    struct mail *mail = slot->mail;
    slot->mail = NULL;
    injection_free(&slot->injection);
    injection_init(&slot->injection);
    slot->injection.program = NULL;
    will_try_later(send, mail, "the queue does not answer");
}

void
bounce_work(struct send *send)
{
    struct bounce_desk *desk = &send->bounces;
    for (size_t i = 0; i < BOUNCE_SLOTS; i++) {
        struct bounce_slot *slot = &desk->slots[i];
        if (slot->mail && send->now_s >= slot->deadline_s)
            give_up(send, slot);
        if (slot->mail || !desk->first || send->now_s < desk->retry_s)
            continue;
        struct mail *mail = desk->first;
        desk->first = mail->next;
        if (submit(send, &slot->injection, mail)) {
            slot->mail = mail;
            slot->deadline_s = send->now_s + INJECTION_DEADLINE_S;
        } else {
            not_submitted(send, mail);
        }
    }
}

void
bounce_receive(struct send *send, size_t index)
{
    struct bounce_slot *slot = &send->bounces.slots[index];
    struct injection_receipt receipt = {0};
    struct mail *mail = slot->mail;

    slot->mail = NULL;
    if (injection_collect(&slot->injection, &receipt)) {
        event_log_text(&send->log, "bounce msg ");
        event_log_number(&send->log, mail->id);
        event_log_text(&send->log, " qp ");
        event_log_number(&send->log, receipt.pid);
        event_log_end(&send->log);
        pass_bounced(send, mail);
    } else {
        will_try_later(send, mail, injection_reason(&receipt));
    }
    stralloc_free(&receipt.text);
}
