#include "bounce_desk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/djbunix.h>

#include "bounce.h"
#include "mail_file.h"
#include "pass.h"
#include "send.h"

enum { COPY_CHUNK = 64 * 1024 };

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
    return !desk->waiting.first; /* an unreadable one will not do better in a moment */
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
    if (desk->waiting.first && is_free && desk->retry_s < next_s)
        next_s = desk->retry_s;
    if (desk->unreadable.first && desk->unreadable_s < next_s)
        next_s = desk->unreadable_s;
    return next_s;
}

static void
put_last(struct bounce_line *line, struct mail *mail)
{
    mail->next = NULL;
    if (line->first)
        line->last->next = mail;
    else
        line->first = mail;
    line->last = mail;
}

static struct mail *
take_first(struct bounce_line *line)
{
    struct mail *mail = line->first;
    line->first = mail->next;
    return mail;
}

void
bounce_add(struct send *send, struct mail *mail)
{
    enum bounce_kind kind = bounce_kind_of(mail_sender(mail));
    bool is_discarded = kind == BOUNCE_TRIPLE ||
                        (kind == BOUNCE_DOUBLE && !send->config.doublebounceto.len);
    if (!is_discarded) {
        put_last(&send->bounces.waiting, mail);
        return;
    }
    event_log_text(&send->log, kind == BOUNCE_TRIPLE
                                   ? "triple bounce: discarding bounce/"
                                   : "double bounce: discarding bounce/");
    event_log_number(&send->log, mail->id);
    event_log_end(&send->log);
    pass_bounced(send, mail);
}

enum submission {
    SUBMISSION_DONE,
    SUBMISSION_UNREADABLE, /* errno: the file of the message; other notices may go on */
    SUBMISSION_FAILED,     /* so would others now */
};

static enum submission
copy_bytes(struct injection *injection, int fd, char *chunk, uint64_t left)
{
    for (off_t offset = 0; left;) {
        ssize_t got = pread(fd, chunk, left < COPY_CHUNK ? left : COPY_CHUNK, offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            errno = EIO; /* it has become shorter */
        if (got <= 0)
            return SUBMISSION_UNREADABLE;
        if (!injection_put(injection, chunk, (size_t)got))
            return SUBMISSION_FAILED;
        offset += got;
        left -= (uint64_t)got;
    }
    return SUBMISSION_DONE;
}

/* Copy the original, or its first bytes, into the notice. */
static enum submission
copy_message(struct send *send, struct injection *injection, const struct mail *mail)
{
    uint64_t left = mail->file.message_len;
    uint64_t most = send->config.bouncemaxbytes;
    bool is_cut = most && left > most;
    char *chunk = malloc(COPY_CHUNK);
    if (!chunk)
        return SUBMISSION_FAILED;
    int fd = mail_open(mail);
    enum submission result = SUBMISSION_UNREADABLE;
    if (fd >= 0)
        result = copy_bytes(injection, fd, chunk, is_cut ? most : left);
    if (result == SUBMISSION_DONE && is_cut &&
        !injection_put(injection, "\n\n--- Rest of message not copied.\n", 34))
        result = SUBMISSION_FAILED;
    int saved = errno;
    if (fd >= 0)
        fd_close(fd);
    free(chunk);
    errno = saved;
    return result;
}

/* The whole notice, as far as the question for an answer. errno: SUBMISSION_UNREADABLE */
static enum submission
submit(struct send *send, struct injection *injection, const struct mail *mail)
{
    const char *sender = mail_sender(mail);
    enum bounce_kind kind = bounce_kind_of(sender);
    struct injection_receipt receipt = {0};
    stralloc recipient = STRALLOC_ZERO;
    enum submission result = SUBMISSION_FAILED;

    injection_start(injection);
    if (bounce_make_text(&send->scratch, &send->config, kind, sender, &mail->failures,
                         send->now_s) &&
        injection_put(injection, send->scratch.s, send->scratch.len))
        result = copy_message(send, injection, mail);
    if (result == SUBMISSION_DONE &&
        !(bounce_find_recipient(&recipient, &send->config, kind, sender) &&
          injection_sender(injection, kind == BOUNCE_SINGLE ? "" : "#@[]") &&
          injection_recipient(injection, recipient.s) &&
          injection_submit(injection, &receipt)))
        result = SUBMISSION_FAILED;
    int saved = errno;
    if (result != SUBMISSION_DONE)
        injection_abandon(injection);
    stralloc_free(&recipient);
    stralloc_free(&receipt.text);
    errno = saved;
    return result;
}

static void
log_trouble(struct send *send, const struct mail *mail, const char *why,
            const char *reason)
{
    event_log_text(&send->log, "warning: trouble injecting the bounce of msg ");
    event_log_number(&send->log, mail->id);
    event_log_text(&send->log, ", will try again later: ");
    event_log_text(&send->log, why);
    event_log_line(&send->log, reason, 0);
}

static void
will_try_later(struct send *send, struct mail *mail, const char *why)
{
    log_trouble(send, mail, why, "");
    put_last(&send->bounces.waiting, mail);
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

/* Only this message waits: the line goes on without it. */
static void
cannot_be_read(struct send *send, struct mail *mail, int error)
{
    struct bounce_desk *desk = &send->bounces;
    log_trouble(send, mail, "unable to read the message: ", strerror(error));
    if (!desk->unreadable.first)
        desk->unreadable_s = send->now_s + BOUNCE_UNREADABLE_S;
    put_last(&desk->unreadable, mail);
}

/* Not queued. A message that somebody has removed needs no notice; it would be tried for
 * ever. */
static void
not_submitted(struct send *send, struct mail *mail, enum submission result)
{
    int error = errno;
    if (has_gone(mail)) {
        event_log_text(&send->log, "warning: somebody removed msg ");
        event_log_number(&send->log, mail->id);
        event_log_line(&send->log, "", 0);
        pass_finish(send, mail);
    } else if (result == SUBMISSION_UNREADABLE) {
        cannot_be_read(send, mail, error);
    } else {
        will_try_later(send, mail, "the queue cannot be reached");
    }
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
    while (desk->unreadable.first && send->now_s >= desk->unreadable_s)
        put_last(&desk->waiting, take_first(&desk->unreadable));
    for (size_t i = 0; i < BOUNCE_SLOTS; i++) {
        struct bounce_slot *slot = &desk->slots[i];
        if (slot->mail && send->now_s >= slot->deadline_s)
            give_up(send, slot);
        if (slot->mail || !desk->waiting.first || send->now_s < desk->retry_s)
            continue;
        struct mail *mail = take_first(&desk->waiting);
        enum submission result = submit(send, &slot->injection, mail);
        if (result == SUBMISSION_DONE) {
            slot->mail = mail;
            slot->deadline_s = send->now_s + INJECTION_DEADLINE_S;
        } else {
            not_submitted(send, mail, result);
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
