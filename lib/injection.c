#include "injection.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/types.h>

#include "queue_program.h"
#include "text.h"

enum { ANSWER_MAX = 1024 }; /* a code, and two numbers or a sentence */

void
injection_init(struct injection *injection)
{
    const char *program = getenv("QMAILQUEUE");
    memset(injection, 0, sizeof *injection);
    injection->spool.fd = injection->socket = -1;
    injection->answer.room = ANSWER_MAX;
    injection->program = program && *program ? program : NULL;
}

void
injection_init_local(struct injection *injection)
{
    injection_init(injection);
    injection->fallback = "bin/qmail-queue";
}

void
injection_start(struct injection *injection)
{
    spool_reset(&injection->spool);
    injection->message_len = 0;
    injection->error = QUEUE_OK;
}

static bool
fail(struct injection *injection, unsigned int code)
{
    if (!injection->error)
        injection->error = code;
    return false;
}

static bool
put(struct injection *injection, const char *bytes, size_t len)
{
    if (injection->error)
        return false;
    if (!spool_put(&injection->spool, bytes, len))
        return fail(injection, errno == ENOMEM ? QUEUE_NO_MEMORY : QUEUE_WRITE_ERROR);
    return true;
}

bool
injection_put(struct injection *injection, const char *bytes, size_t len)
{
    return put(injection, bytes, len);
}

static bool
put_address(struct injection *injection, const char *letter, const char *address)
{
    size_t len = strlen(address);
    if (len > INJECTION_ADDRESS_MAX)
        return fail(injection, QUEUE_ADDRESS_TOO_LONG);
    return put(injection, letter, 1) && put(injection, address, len + 1);
}

bool
injection_sender(struct injection *injection, const char *address)
{
    injection->message_len = injection->spool.len;
    return put_address(injection, "F", address);
}

bool
injection_recipient(struct injection *injection, const char *address)
{
    return put_address(injection, "T", address);
}

static void
disconnect(struct injection *injection)
{
    if (injection->socket >= 0)
        close(injection->socket);
    injection->socket = -1;
}

static bool
refuse(struct injection_receipt *receipt, unsigned int code)
{
    receipt->code = code;
    receipt->id = receipt->pid = 0;
    receipt->text.len = 0;
    return false;
}

/* End the envelope and see whether everything before went well. */
static bool
complete(struct injection *injection, struct injection_receipt *receipt)
{
    if (put(injection, "", 1) && !spool_finish(&injection->spool))
        fail(injection, errno == ENOMEM ? QUEUE_NO_MEMORY : QUEUE_WRITE_ERROR);
    return injection->error ? refuse(receipt, injection->error) : true;
}

/* "queue", length of the message, length of the envelope */
static bool
make_request(stralloc *strings, const struct injection *injection)
{
    uint64_t envelope_len = injection->spool.len - injection->message_len;
    return text_copy_bytes(strings, "queue", sizeof "queue") &&
           text_append_number_string(strings, injection->message_len) &&
           text_append_number_string(strings, envelope_len);
}

static enum handoff_status
send_request(struct injection *injection, const stralloc *strings)
{
    const struct spool *spool = &injection->spool;
    struct handoff_parts parts = {.strings = strings->s, .strings_len = strings->len};

    if (spool->fd < 0) {
        parts.body = spool->pending.s;
        parts.body_len = spool->pending.len;
    } else {
        parts.fds = &spool->fd;
        parts.fd_count = 1;
    }
    return handoff_send(injection->socket, &parts);
}

/* Send over the connection we have; if qmail-queued was started anew, over a new one. */
static bool
send_or_reconnect(struct injection *injection, const stralloc *strings)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        if (injection->socket < 0)
            injection->socket = handoff_connect("queue/inject");
        if (injection->socket < 0)
            return false;
        if (send_request(injection, strings) == HANDOFF_DONE)
            return true;
        disconnect(injection);
    }
    return false;
}

bool
injection_submit(struct injection *injection, struct injection_receipt *receipt)
{
    stralloc strings = STRALLOC_ZERO;

    if (!complete(injection, receipt))
        return false;
    bool ok = make_request(&strings, injection);
    if (!ok)
        refuse(receipt, QUEUE_NO_MEMORY);
    else if (!(ok = send_or_reconnect(injection, &strings)))
        refuse(receipt, QUEUE_NO_QUEUE);
    stralloc_free(&strings);
    return ok;
}

/* Read the answer: "0", id, pid; or a code and a reason. */
static bool
understand(const struct handoff *answer, struct injection_receipt *receipt)
{
    const char *code = handoff_string(answer, 0);
    const char *id = handoff_string(answer, 1);
    const char *pid = handoff_string(answer, 2);

    refuse(receipt, QUEUE_TALK_FAILED);
    if (!code || !uint0_scan(code, &receipt->code)) {
        receipt->code = QUEUE_TALK_FAILED;
        return false;
    }
    if (receipt->code != QUEUE_OK)
        return false;
    if (!id || !pid || !uint640_scan(id, &receipt->id) ||
        !uint640_scan(pid, &receipt->pid))
        return refuse(receipt, QUEUE_TALK_FAILED);
    return true;
}

bool
injection_collect(struct injection *injection, struct injection_receipt *receipt)
{
    struct handoff *answer = &injection->answer;

    bool ok = handoff_receive(injection->socket, answer) == HANDOFF_DONE
                  ? understand(answer, receipt)
                  : refuse(receipt, QUEUE_TALK_FAILED);
    if (receipt->code == QUEUE_TALK_FAILED)
        disconnect(injection);
    spool_reset(&injection->spool);
    return ok;
}

static bool
wait_for_answer(struct injection *injection, struct injection_receipt *receipt)
{
    struct pollfd entry = {.fd = injection->socket, .events = POLLIN};
    int ready;
    do
        ready = poll(&entry, 1, INJECTION_DEADLINE_S * 1000);
    while (ready < 0 && errno == EINTR);
    if (ready > 0)
        return true;
    disconnect(
        injection); /* an answer that comes too late must not be taken for the next */
    return refuse(receipt, QUEUE_TIMEOUT);
}

static bool
run_program(struct injection *injection, const char *program,
            struct injection_receipt *receipt)
{
    receipt->id = 0;
    receipt->code =
        queue_program_run(program, &injection->spool, injection->message_len,
                          INJECTION_DEADLINE_S, &receipt->text, &receipt->pid);
    spool_reset(&injection->spool);
    return receipt->code == QUEUE_OK;
}

bool
injection_commit(struct injection *injection, struct injection_receipt *receipt)
{
    if (injection->program)
        return complete(injection, receipt) &&
               run_program(injection, injection->program, receipt);
    if (injection_submit(injection, receipt))
        return wait_for_answer(injection, receipt) &&
               injection_collect(injection, receipt);
    if (receipt->code == QUEUE_NO_QUEUE && injection->fallback)
        return run_program(injection, injection->fallback, receipt);
    return false;
}

/* A letter and at least two bytes: what is shorter is noise. */
static bool
has_own_words(const struct injection_receipt *receipt)
{
    return receipt->code == QUEUE_CUSTOM && receipt->text.len >= 3 &&
           (receipt->text.s[0] == 'D' || receipt->text.s[0] == 'Z');
}

const char *
injection_reason(const struct injection_receipt *receipt)
{
    return has_own_words(receipt) ? receipt->text.s + 1
                                  : exitcode_queue_text(receipt->code);
}

bool
injection_is_permanent(const struct injection_receipt *receipt)
{
    if (has_own_words(receipt))
        return receipt->text.s[0] == 'D';
    return exitcode_queue_is_permanent(receipt->code);
}

void
injection_abandon(struct injection *injection)
{
    injection_start(injection);
}

void
injection_free(struct injection *injection)
{
    disconnect(injection);
    handoff_free(&injection->answer);
    spool_free(&injection->spool);
}
