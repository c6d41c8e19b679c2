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

/* address_append_quoted divides at the last '@': there is always one, so that an '@' in
 * a local part without host is not taken for it. */
bool
mailbox_append(stralloc *out, const struct mailbox *mailbox)
{
    stralloc raw = STRALLOC_ZERO;
    if (mailbox_is_empty(mailbox))
        return text_append(out, "");
    bool ok = text_copy_bytes(&raw, mailbox->local.s, mailbox->local.len) &&
              text_append(&raw, "@") &&
              (!mailbox->has_at || text_append(&raw, mailbox->host.s)) &&
              address_append_quoted(out, raw.s);
    if (ok && !mailbox->has_at)
        out->s[--out->len] = '\0';
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
