/* Header fields and address lists: the input is a header; the value of each field
 * is also read as an address list. What was rewritten must be understood again,
 * and stay as it is. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "address_list.h"
#include "header.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
look(void *context, struct mailbox *mailbox)
{
    size_t *addresses = context;
    ++*addresses;
    if (strlen(mailbox->local.s) != mailbox->local.len ||
        strlen(mailbox->host.s) != mailbox->host.len || strchr(mailbox->local.s, '\n') ||
        (!mailbox->has_at && mailbox->host.len))
        abort();
    return true;
}

/* Rewrite the list behind "To:" in list into *out. returns the number of addresses */
static size_t
rewrite(stralloc *out, const stralloc *list)
{
    size_t addresses = 0;
    struct address_visitor visitor = {look, &addresses};
    if (!text_copy(out, "To:") || address_list_rewrite(out, list->s + 3, list->len - 3,
                                                       &visitor) != ADDRESS_LIST_OK)
        abort();
    return addresses;
}

/* The first rewriting may replace control bytes by '?'; from then on nothing changes. */
static void
check_list(const char *text, size_t len)
{
    size_t addresses = 0;
    stralloc once = STRALLOC_ZERO;
    stralloc twice = STRALLOC_ZERO;
    stralloc thrice = STRALLOC_ZERO;
    struct address_visitor visitor = {look, &addresses};

    if (!text_copy(&once, "To:"))
        abort();
    if (address_list_rewrite(&once, text, len, &visitor) == ADDRESS_LIST_OK) {
        for (size_t i = 0; i + 1 < once.len; i++)
            if (once.s[i] == '\n' && once.s[i + 1] != ' ')
                abort(); /* a second field */
        if (rewrite(&twice, &once) != addresses ||
            rewrite(&thrice, &twice) != addresses || twice.len != thrice.len ||
            memcmp(twice.s, thrice.s, twice.len) != 0)
            abort();
    }
    stralloc_free(&once);
    stralloc_free(&twice);
    stralloc_free(&thrice);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *header = (const char *)data;
    struct header_field field;
    size_t at = 0;
    size_t end = 0;

    while (header_next(header, size, &at, &field)) {
        if (field.bytes != header + end || !field.len || !field.name_len)
            abort();
        end += field.len;
        check_list(field.value, field.value_len);
    }
    if (at != end)
        abort();
    return 0;
}
