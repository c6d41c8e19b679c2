#include "bounce.h"

#include <string.h>

#include "address.h"
#include "route.h"
#include "text.h"

/* The words of a notice. QSBMF wants "Hi. This is the" first, a paragraph per recipient
 * that begins with "<", and a paragraph that begins with "-" before the copy. */

enum bounce_kind
bounce_kind_of(const char *sender)
{
    if (!*sender)
        return BOUNCE_DOUBLE;
    return strcmp(sender, "#@[]") == 0 ? BOUNCE_TRIPLE : BOUNCE_SINGLE;
}

bool
bounce_append_failure(stralloc *failures, const char *address, const char *reason)
{
    size_t most =
        failures->len > BOUNCE_FAILURES_MAX ? BOUNCE_REASON_SHORT : BOUNCE_REASON_MAX;
    size_t len = strnlen(reason, most);

    if (!text_append(failures, "<"))
        return false;
    size_t start = failures->len;
    if (!text_append(failures, address))
        return false;
    for (size_t i = start; i < failures->len; i++)
        if ((unsigned char)failures->s[i] < 32 || failures->s[i] == 127)
            failures->s[i] = '_';
    if (!text_append(failures, ">:\n"))
        return false;
    start = failures->len;
    if (!text_append_bytes(failures, reason, len))
        return false;
    while (failures->len > start && failures->s[failures->len - 1] == '\n')
        failures->len--;
    /* an empty line would end the paragraph */
    for (size_t i = start; i < failures->len; i++)
        if (failures->s[i] == '\n' && (i == start || failures->s[i - 1] == '\n'))
            failures->s[i] = '/';
    return text_append(failures, failures->len > start ? "\n\n" : "\n");
}

bool
bounce_find_recipient(stralloc *recipient, const struct config *config,
                      enum bounce_kind kind, const char *sender)
{
    if (kind != BOUNCE_SINGLE) {
        if (!config->doublebounceto.len)
            return text_copy(recipient, "");
        return text_copy(recipient, config->doublebounceto.s) &&
               text_append(recipient, "@") &&
               text_append(recipient, config->doublebouncehost.s);
    }
    size_t len = strlen(sender);
    if (!route_is_verp(sender))
        return text_copy(recipient, sender);
    /* prefix-@host-@[] : whoever it was, the list's owner is told, at prefix-@host */
    return text_copy_bytes(recipient, sender, len - strlen("-@[]"));
}

static bool
append_header(stralloc *text, const struct config *config, const char *recipient,
              uint64_t now_s)
{
    stralloc from = STRALLOC_ZERO;
    bool ok = text_copy(&from, config->bouncefrom.s) && text_append(&from, "@") &&
              text_append(&from, config->bouncehost.s) && text_append(text, "Date: ") &&
              text_append_date(text, (int64_t)now_s) && text_append(text, "\nFrom: ") &&
              address_append_quoted(text, from.s) && text_append(text, "\nTo: ") &&
              address_append_quoted(text, recipient) &&
              text_append(text, "\nSubject: failure notice\n\n");
    stralloc_free(&from);
    return ok;
}

bool
bounce_make_text(stralloc *text, const struct config *config, enum bounce_kind kind,
                 const char *sender, const stralloc *failures, uint64_t now_s)
{
    stralloc recipient = STRALLOC_ZERO;
    bool is_double = kind == BOUNCE_DOUBLE;

    text->len = 0;
    bool ok =
        bounce_find_recipient(&recipient, config, kind, sender) &&
        append_header(text, config, recipient.s, now_s) &&
        text_append(text, "Hi. This is the qmail-send program at ") &&
        text_append(text, config->bouncehost.s) &&
        text_append(text, is_double ? ".\nI tried to return a message to its sender, but "
                                      "this bounce could not be delivered either.\n\n"
                                    : ".\nI'm afraid I could not deliver your message to "
                                      "the following addresses.\nThis is final: I have "
                                      "given up. Sorry that it did not work out.\n\n") &&
        text_append_bytes(text, failures->s, failures->len) &&
        text_append(text, is_double
                              ? "--- Below this line is the original bounce.\n\n"
                              : "--- Below this line is a copy of the message.\n\n") &&
        text_append(text, "Return-Path: <") && address_append_quoted(text, sender) &&
        text_append(text, ">\n");
    stralloc_free(&recipient);
    return ok;
}
