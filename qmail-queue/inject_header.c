#include "inject_header.h"

#include <string.h>

#include "address_list.h"
#include "header.h"
#include "inject_fields.h"
#include "text.h"

/* What the visitor of one field needs. */
struct visit {
    struct inject_header *header;
    const struct inject_field *field;
};

static bool
append_address(stralloc *list, const struct mailbox *mailbox)
{
    return mailbox_append_raw(list, mailbox) && stralloc_0(list);
}

/* Keep the address where its field wants it; nothing can be sent to the empty address. */
static bool
visit_address(void *context, struct mailbox *mailbox)
{
    const struct visit *visit = context;
    struct inject_header *header = visit->header;
    unsigned int traits = visit->field->traits;

    if (!inject_qualify(header->settings, mailbox))
        return false;
    if (traits & FIELD_SENDER) {
        header->has_sender = true;
        header->sender.len = 0;
        return mailbox_append_raw(&header->sender, mailbox);
    }
    if (!(traits & FIELD_RECIPIENTS) || mailbox_is_empty(mailbox))
        return true;
    if ((traits & FIELD_VISIBLE) && !append_address(&header->visible, mailbox))
        return false;
    return append_address((traits & FIELD_RESENT) ? &header->resent_recipients
                                                  : &header->recipients,
                          mailbox);
}

static bool
keep(struct inject_header *header, const struct header_field *field)
{
    return text_append_bytes(&header->fields, field->bytes, field->len);
}

/* Put "Name: list" in place of the field; one without any address stays as it is. */
static bool
keep_rewritten(struct inject_header *header, const struct header_field *field,
               size_t old_len)
{
    if (header->fields.len == old_len + field->name_len + 1) {
        header->fields.len = old_len;
        return keep(header, field);
    }
    return text_append(&header->fields, "\n");
}

static enum inject_status
read_addresses(struct inject_header *header, const struct header_field *field,
               const struct inject_field *known)
{
    struct visit visit = {header, known};
    struct address_visitor visitor = {visit_address, &visit};
    stralloc *fields = &header->fields;
    size_t old_len = fields->len;

    if (!text_append_bytes(fields, field->bytes, field->name_len) ||
        !text_append(fields, ":"))
        return INJECT_ERROR;
    enum address_list_status status =
        address_list_rewrite(fields, field->value, field->value_len, &visitor);
    if (status == ADDRESS_LIST_STOPPED)
        return INJECT_ERROR;
    if (status == ADDRESS_LIST_SYNTAX) {
        fields->len = old_len;
        if (!(known->traits & FIELD_RECIPIENTS))
            return text_copy_bytes(&header->bad_field, field->bytes, field->len)
                       ? INJECT_BAD_FIELD
                       : INJECT_ERROR;
        return keep(header, field) ? INJECT_OK : INJECT_ERROR;
    }
    if (known->traits & FIELD_REMOVED) {
        fields->len = old_len;
        return INJECT_OK;
    }
    return keep_rewritten(header, field, old_len) ? INJECT_OK : INJECT_ERROR;
}

static bool
is_unwanted(const struct inject_settings *settings, enum inject_field_id id)
{
    return (settings->drops_from && id == FIELD_FROM) ||
           (settings->drops_message_id && id == FIELD_MESSAGE_ID) ||
           (settings->ignores_return_path && id == FIELD_RETURN_PATH);
}

static enum inject_status
read_field(struct inject_header *header, const struct header_field *field)
{
    const struct inject_field *known = inject_field_find(field);

    if (!known)
        return keep(header, field) ? INJECT_OK : INJECT_ERROR;
    if (is_unwanted(header->settings, known->id))
        return INJECT_OK;
    header->seen |= 1U << known->id;
    if (known->traits & FIELD_RESENT)
        header->is_resent = true;
    if (known->traits & FIELD_ADDRESSES)
        return read_addresses(header, field, known);
    if (known->traits & FIELD_REMOVED)
        return INJECT_OK;
    return keep(header, field) ? INJECT_OK : INJECT_ERROR;
}

enum inject_status
inject_header_read(struct inject_header *header, const char *bytes, size_t len)
{
    struct header_field field;
    size_t at = 0;
    enum inject_status status = INJECT_OK;

    while (status == INJECT_OK && header_next(bytes, len, &at, &field))
        status = read_field(header, &field);
    return status;
}

const stralloc *
inject_header_recipients(const struct inject_header *header)
{
    return header->is_resent ? &header->resent_recipients : &header->recipients;
}
