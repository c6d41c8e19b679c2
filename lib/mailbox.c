#include "mailbox.h"

#include "address.h"
#include "text.h"

bool
mailbox_append_raw(stralloc *out, const struct mailbox *mailbox)
{
    return text_append_bytes(out, mailbox->local.s, mailbox->local.len) &&
           (!mailbox->has_at ||
            (text_append_bytes(out, "@", 1) &&
             text_append_bytes(out, mailbox->host.s, mailbox->host.len)));
}

bool
mailbox_append(stralloc *out, const struct mailbox *mailbox)
{
    stralloc raw = STRALLOC_ZERO;
    bool ok = mailbox_append_raw(&raw, mailbox) && address_append_quoted(out, raw.s);
    stralloc_free(&raw);
    return ok;
}

bool
mailbox_is_empty(const struct mailbox *mailbox)
{
    return !mailbox->has_at && !mailbox->local.len;
}

void
mailbox_free(struct mailbox *mailbox)
{
    stralloc_free(&mailbox->local);
    stralloc_free(&mailbox->host);
}
