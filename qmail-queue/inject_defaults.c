#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "address.h"
#include "inject_fields.h"
#include "inject_header.h"
#include "name_map.h"
#include "text.h"

static bool
has(const struct inject_header *header, enum inject_field_id id)
{
    return header->seen & (1U << id);
}

/* "Date: 20 Nov 2026 10:39:14 -0000" */
static bool
append_date(stralloc *out, int64_t now)
{
    return text_append(out, "Date: ") && text_append_date(out, now) &&
           text_append(out, "\n");
}

/* "Message-ID: <20261120103914.4711.qmail@id.host>" */
static bool
append_message_id(stralloc *out, struct inject_settings *settings)
{
    char digits[32];
    struct tm parts;
    time_t seconds = (time_t)settings->now;
    const stralloc *host = inject_settings_host(settings, INJECT_ID_HOST);

    return host && gmtime_r(&seconds, &parts) &&
           strftime(digits, sizeof digits, "%Y%m%d%H%M%S.", &parts) &&
           text_append(out, "Message-ID: <") && text_append(out, digits) &&
           text_append_number(out, (uint64_t)getpid()) && text_append(out, ".qmail@") &&
           text_append_bytes(out, host->s, host->len) && text_append(out, ">\n");
}

/* Append name without what would end the field, inside "" or (). */
static bool
append_name(stralloc *out, const char *name, bool as_comment)
{
    if (!text_append(out, as_comment ? "(" : "\""))
        return false;
    for (; *name; name++) {
        bool is_special = strchr(as_comment ? "()\\" : "\"\\", *name);
        bool is_line_end = *name == '\n' || *name == '\r';
        if ((is_special && !text_append(out, "\\")) ||
            !text_append_bytes(out, is_line_end ? " " : name, 1))
            return false;
    }
    return text_append(out, as_comment ? ")" : "\"");
}

/* 'From: "Full Name" <user@host>', or 'From: user@host (Full Name)' for the letter c */
static bool
append_from(stralloc *out, struct inject_settings *settings)
{
    struct mailbox mailbox = {.has_at = false};
    const char *name = settings->full_name;
    bool has_name = name && *name;
    bool has_phrase = has_name && !settings->comment_style;

    bool ok = inject_own_address(settings, &mailbox, settings->user, settings->host) &&
              text_append(out, "From: ");
    if (ok && has_phrase)
        ok = append_name(out, name, false) && text_append(out, " <");
    ok = ok && mailbox_append(out, &mailbox);
    if (ok && has_name && !has_phrase)
        ok = text_append(out, " ") && append_name(out, name, true);
    mailbox_free(&mailbox);
    return ok && text_append(out, has_phrase ? ">\n" : "\n");
}

static bool
append_no_recipients(stralloc *out)
{
    return text_append(out, "Cc: recipient list not shown: ;\n");
}

/* Does a To or Cc address stand in QMAILMFTFILE? */
static int
is_to_list(const struct inject_header *header)
{
    struct name_map lists = {0};
    const stralloc *visible = &header->visible;
    int found = 0;

    if (!name_map_build(&lists, &header->settings->list_addresses, '\0'))
        return -1;
    for (size_t at = 0; at < visible->len && !found; at += strlen(visible->s + at) + 1)
        if (name_map_find(&lists, visible->s + at, strlen(visible->s + at)))
            found = 1;
    name_map_free(&lists);
    return found;
}

/* Every address of To and Cc once. */
static bool
append_followup_to(stralloc *out, const stralloc *visible)
{
    const char *separator = "Mail-Followup-To: ";
    struct name_map seen = {0};

    if (!name_map_build(&seen, visible, '\0'))
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < seen.count; i++) {
        if (i > 0 && strcasecmp(seen.keys[i], seen.keys[i - 1]) == 0)
            continue;
        ok = text_append(out, separator) && address_append_quoted(out, seen.keys[i]);
        separator = ",\n  ";
    }
    name_map_free(&seen);
    return ok && text_append(out, "\n");
}

static bool
complete_resent(struct inject_header *header, stralloc *out)
{
    struct inject_settings *settings = header->settings;
    if (!has(header, FIELD_RESENT_DATE) &&
        (!text_append(out, "Resent-") || !append_date(out, settings->now)))
        return false;
    if (!has(header, FIELD_RESENT_MESSAGE_ID) &&
        (!text_append(out, "Resent-") || !append_message_id(out, settings)))
        return false;
    if (!has(header, FIELD_RESENT_FROM) &&
        (!text_append(out, "Resent-") || !append_from(out, settings)))
        return false;
    return has(header, FIELD_RESENT_TO) || has(header, FIELD_RESENT_CC) ||
           (text_append(out, "Resent-") && append_no_recipients(out));
}

static bool
complete_new(struct inject_header *header, stralloc *out)
{
    struct inject_settings *settings = header->settings;
    if (!has(header, FIELD_DATE) && !append_date(out, settings->now))
        return false;
    if (!has(header, FIELD_MESSAGE_ID) && !append_message_id(out, settings))
        return false;
    if (!has(header, FIELD_FROM) && !append_from(out, settings))
        return false;
    if (!has(header, FIELD_TO) && !has(header, FIELD_CC) && !append_no_recipients(out))
        return false;
    if (has(header, FIELD_MAIL_FOLLOWUP_TO) || !settings->list_addresses.len)
        return true;
    int to_list = is_to_list(header);
    return to_list >= 0 && (!to_list || append_followup_to(out, &header->visible));
}

enum inject_status
inject_header_complete(struct inject_header *header, stralloc *out)
{
    bool ok =
        header->is_resent ? complete_resent(header, out) : complete_new(header, out);
    return ok ? INJECT_OK : INJECT_ERROR;
}
