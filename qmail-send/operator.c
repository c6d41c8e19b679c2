#include "operator.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/socket.h>

#include "delivery.h"
#include "send.h"
#include "text.h"
#include "work.h"

void
operator_accept(struct send *send)
{
    int fd = accept4(send->control, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    for (size_t i = 0; i < OPERATORS_MAX; i++)
        if (send->operators[i] < 0) {
            send->operators[i] = fd;
            return;
        }
    close(fd);
}

static bool
append_item(stralloc *text, const char *name, uint64_t number)
{
    return text_append(text, name) && text_append(text, " ") &&
           text_append_number(text, number) && text_append(text, "\n");
}

/* "name number" lines. */
static bool
describe_counts(const struct send *send, stralloc *text)
{
    const struct channel *local = &send->channels[CHANNEL_LOCAL];
    const struct channel *remote = &send->channels[CHANNEL_REMOTE];
    return append_item(text, "messages", send->known.count) &&
           append_item(text, "unprocessed", send->fresh.count + send->unseen) &&
           append_item(text, "scheduled", send->due.count) &&
           append_item(text, "loaded", send->mails.count) &&
           append_item(text, "destinations", send->destinations.count) &&
           append_item(text, "local", local->job_count) &&
           append_item(text, "local-limit", local->limit) &&
           append_item(text, "remote", remote->job_count) &&
           append_item(text, "remote-limit", remote->limit);
}

/* channel, name, running, waiting, failures, seconds since the last one, seconds until
 * the next try, last report */
static bool
describe_destination(const struct send *send, const struct destination *each,
                     stralloc *text)
{
    uint64_t wait_s =
        destination_is_paused(each, send->now_s) ? each->retry_s - send->now_s : 0;
    uint64_t ago_s =
        each->failures && each->failed_s < send->now_s ? send->now_s - each->failed_s : 0;
    const char *last = each->last_failure ? each->last_failure : "";
    return text_append(text, each->is_local ? "local " : "remote ") &&
           text_append_safe(text, each->name, strlen(each->name), true) &&
           text_append(text, " ") && text_append_number(text, each->running) &&
           text_append(text, " ") && text_append_number(text, each->waiting.count) &&
           text_append(text, " ") && text_append_number(text, each->failures) &&
           text_append(text, " ") && text_append_number(text, ago_s) &&
           text_append(text, " ") && text_append_number(text, wait_s) &&
           text_append(text, " ") && text_append_safe(text, last, strlen(last), false) &&
           text_append(text, "\n");
}

static bool
describe_destinations(const struct send *send, stralloc *text)
{
    const struct destination_table *table = &send->destinations;
    for (size_t i = 0; i < table->size; i++)
        for (const struct destination *each = table->buckets[i]; each; each = each->chain)
            if (!describe_destination(send, each, text))
                return false;
    return true;
}

static void
forget_failures(struct send *send)
{
    const struct destination_table *table = &send->destinations;
    for (size_t i = 0; i < table->size; i++)
        for (struct destination *each = table->buckets[i]; each; each = each->chain) {
            destination_succeed(each);
            delivery_make_ready(send, each);
        }
}

/* Do what the command says. returns "ok" or what is wrong */
static const char *
obey(struct send *send, const char *verb, stralloc *text)
{
    bool ok = true;
    if (strcmp(verb, "stat") == 0)
        ok = describe_counts(send, text);
    else if (strcmp(verb, "destinations") == 0)
        ok = describe_destinations(send, text);
    else if (strcmp(verb, "flush") == 0)
        work_all_due(send);
    else if (strcmp(verb, "forget") == 0)
        forget_failures(send);
    else if (strcmp(verb, "scan") == 0)
        send->scan.is_wanted = true;
    else
        return "unknown command";
    return ok ? "ok" : "out of memory";
}

/* The text may be long: as a descriptor it makes the operator's slowness not ours. */
static bool
answer(int socket, const char *word, const stralloc *text)
{
    struct handoff_parts parts = {.strings = word, .strings_len = strlen(word) + 1};
    int fd = memfd_create("answer", MFD_CLOEXEC);
    bool ok = fd >= 0;
    size_t written = 0;
    while (ok && written < text->len) {
        ssize_t got = write(fd, text->s + written, text->len - written);
        ok = got > 0;
        if (ok)
            written += (size_t)got;
    }
    parts.fds = &fd;
    parts.fd_count = 1;
    ok =
        ok && lseek(fd, 0, SEEK_SET) == 0 && handoff_send(socket, &parts) == HANDOFF_DONE;
    if (fd >= 0)
        close(fd);
    return ok;
}

void
operator_receive(struct send *send, size_t index)
{
    int socket = send->operators[index];
    stralloc text = STRALLOC_ZERO;

    enum handoff_status status = handoff_receive(socket, &send->packet);
    if (status == HANDOFF_WAIT)
        return;
    const char *verb = status == HANDOFF_DONE ? handoff_string(&send->packet, 0) : NULL;
    if (!verb || !answer(socket, obey(send, verb, &text), &text)) {
        close(socket);
        send->operators[index] = -1;
    }
    stralloc_free(&text);
}
