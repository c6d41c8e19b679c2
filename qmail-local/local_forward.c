#include "local_forward.h"

#include <string.h>

#include "injection.h"
#include "text.h"

bool
local_forward_has_owner(const char *sender)
{
    return *sender && strcmp(sender, "#@[]") != 0;
}

bool
local_forward_sender(stralloc *sender, const struct local_job *job,
                     enum dot_qmail_owner owner)
{
    if (owner != DOT_QMAIL_OWNER_PLAIN && owner != DOT_QMAIL_OWNER_VERP)
        return text_copy(sender, job->sender);
    bool is_verp = owner == DOT_QMAIL_OWNER_VERP;
    return text_copy(sender, job->local) &&
           text_append(sender, is_verp ? "-owner-@" : "-owner@") &&
           text_append(sender, job->domain) && (!is_verp || text_append(sender, "-@[]"));
}

/* "unable to forward: REASON (#4.3.0)" */
static bool
failed(const struct injection_receipt *receipt, struct local_result *result)
{
    const stralloc *custom = &receipt->text;
    stralloc text = STRALLOC_ZERO;
    bool is_permanent = exitcode_queue_is_permanent(receipt->code);
    bool ok = text_copy(&text, "unable to forward: ");

    if (receipt->code == QUEUE_CUSTOM && custom->len > 1) {
        is_permanent = custom->s[0] == 'D';
        ok = ok && text_append_safe(&text, custom->s + 1, custom->len - 1, false);
    } else {
        ok = ok && text_append(&text, exitcode_queue_text(receipt->code));
    }
    const char *sentence = ok ? text.s : "unable to forward (#4.3.0)";
    if (is_permanent)
        local_result_refuse(result, sentence);
    else
        local_result_defer(result, sentence);
    stralloc_free(&text);
    return false;
}

bool
local_forward_send(const struct local_job *job, const struct local_lines *lines,
                   const char *sender, const stralloc *recipients, uint64_t *qp,
                   struct local_result *result)
{
    struct injection injection;
    struct injection_receipt receipt = {0};

    injection_init_local(&injection);
    injection_start(&injection);
    /* a failure stays in injection and comes out of injection_commit() */
    (void)(injection_put(&injection, lines->delivered_to.s, lines->delivered_to.len) &&
           injection_put(&injection, job->message.bytes, job->message.len));
    (void)injection_sender(&injection, sender);
    for (size_t at = 0; at < recipients->len; at += strlen(recipients->s + at) + 1)
        (void)injection_recipient(&injection, recipients->s + at);
    bool ok = injection_commit(&injection, &receipt);
    *qp = receipt.pid;
    if (!ok)
        failed(&receipt, result);
    stralloc_free(&receipt.text);
    injection_free(&injection);
    return ok;
}
