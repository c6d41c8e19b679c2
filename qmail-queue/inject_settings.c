#include "inject_settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control.h"
#include "text.h"

static const struct host_source {
    const char *variable;
    const char *path;
    const char *otherwise; /* qmail's word where there is no control/me either */
} sources[INJECT_HOSTS] = {
    [INJECT_DEFAULT_HOST] = {"QMAILDEFAULTHOST", "control/defaulthost", "defaulthost"},
    [INJECT_DEFAULT_DOMAIN] = {"QMAILDEFAULTDOMAIN", "control/defaultdomain",
                               "defaultdomain"},
    [INJECT_PLUS_DOMAIN] = {"QMAILPLUSDOMAIN", "control/plusdomain", "plusdomain"},
    [INJECT_ID_HOST] = {"QMAILIDHOST", "control/idhost", "idhost"},
};

/* The first of these variables that is set, even if it is empty; else null. */
static const char *
first_set(const char *const *names)
{
    for (; *names; names++) {
        const char *value = getenv(*names);
        if (value)
            return value;
    }
    return NULL;
}

static void
read_letters(struct inject_settings *settings)
{
    const char *letters = getenv("QMAILINJECT");
    if (!letters)
        return;
    settings->comment_style = strchr(letters, 'c');
    settings->ignores_return_path = strchr(letters, 's');
    settings->drops_from = strchr(letters, 'f');
    settings->drops_message_id = strchr(letters, 'i');
    settings->verp_recipient = strchr(letters, 'r');
    settings->verp_message = strchr(letters, 'm');
}

bool
inject_settings_read(struct inject_settings *settings)
{
    static const char *const users[] = {"QMAILUSER", "MAILUSER", "USER", "LOGNAME", NULL};
    static const char *const hosts[] = {"QMAILHOST", "MAILHOST", NULL};
    static const char *const names[] = {"QMAILNAME", "MAILNAME", "NAME", NULL};

    settings->user = first_set(users);
    if (!settings->user)
        settings->user = "anonymous";
    settings->host = first_set(hosts);
    settings->full_name = first_set(names);
    settings->sender_user = getenv("QMAILSUSER");
    if (!settings->sender_user)
        settings->sender_user = settings->user;
    settings->sender_host = getenv("QMAILSHOST");
    if (!settings->sender_host)
        settings->sender_host = settings->host;
    read_letters(settings);
    settings->now = time(NULL);
    const char *list_file = getenv("QMAILMFTFILE");
    return !list_file ||
           control_read_list(&settings->list_addresses, list_file) != CONTROL_ERROR;
}

const stralloc *
inject_settings_host(struct inject_settings *settings, enum inject_host which)
{
    stralloc *host = &settings->hosts[which];
    const struct host_source *source = &sources[which];

    if (!settings->has_host[which]) {
        const char *value = getenv(source->variable);
        if (value ? !text_copy(host, value)
                  : control_read_line_or_me(host, source->path, source->otherwise) ==
                        CONTROL_ERROR)
            return NULL;
        settings->has_host[which] = true;
    }
    return host;
}

/* Append "." and a domain, if there is one. */
static bool
append_domain(struct inject_settings *settings, stralloc *host, enum inject_host which)
{
    const stralloc *domain = inject_settings_host(settings, which);
    return domain && (!domain->len || (text_append(host, ".") &&
                                       text_append_bytes(host, domain->s, domain->len)));
}

bool
inject_qualify(struct inject_settings *settings, struct mailbox *mailbox)
{
    stralloc *host = &mailbox->host;

    if (mailbox->has_at && host->len && host->s[host->len - 1] == '.')
        host->s[--host->len] = '\0';
    if (!mailbox->has_at || !host->len) {
        if (mailbox_is_empty(mailbox))
            return true;
        const stralloc *ours = inject_settings_host(settings, INJECT_DEFAULT_HOST);
        if (!ours || !text_copy_bytes(host, ours->s, ours->len))
            return false;
        mailbox->has_at = host->len > 0;
    }
    if (!host->len || host->s[0] == '[')
        return true;
    if (host->s[host->len - 1] == '+') {
        host->s[--host->len] = '\0';
        return append_domain(settings, host, INJECT_PLUS_DOMAIN);
    }
    return memchr(host->s, '.', host->len) ||
           append_domain(settings, host, INJECT_DEFAULT_DOMAIN);
}

/* A host of an argument must survive as a part of a header and of the envelope. */
static bool
is_host(const char *host)
{
    for (; *host; host++)
        if ((unsigned char)*host <= ' ' || *host == 127 || strchr("<>(),;\"\\", *host))
            return false;
    return true;
}

static bool
set_mailbox(struct mailbox *mailbox, const char *local, size_t local_len,
            const char *host)
{
    mailbox->has_at = host != NULL;
    return text_copy_bytes(&mailbox->local, local, local_len) &&
           text_copy(&mailbox->host, host ? host : "");
}

bool
inject_argument(struct inject_settings *settings, stralloc *out, const char *argument)
{
    struct mailbox mailbox = {.has_at = false};
    const char *at = strrchr(argument, '@');
    size_t local_len = at ? (size_t)(at - argument) : strlen(argument);

    if ((at && !is_host(at + 1)) || strpbrk(argument, "\r\n")) {
        errno = EINVAL;
        return false;
    }
    out->len = 0;
    bool ok = set_mailbox(&mailbox, argument, local_len, at ? at + 1 : NULL) &&
              inject_qualify(settings, &mailbox) && mailbox_append_raw(out, &mailbox);
    mailbox_free(&mailbox);
    return ok;
}

static void
replace_line_ends(stralloc *text)
{
    for (size_t i = 0; i < text->len; i++)
        if (text->s[i] == '\n' || text->s[i] == '\r')
            text->s[i] = '_';
}

bool
inject_own_address(struct inject_settings *settings, struct mailbox *mailbox,
                   const char *user, const char *host)
{
    if (!set_mailbox(mailbox, user, strlen(user), host))
        return false;
    replace_line_ends(&mailbox->local);
    replace_line_ends(&mailbox->host);
    return inject_qualify(settings, mailbox);
}

/* "user-time.pid" for the letter m, "user-" for r: a bounce then comes back to an address
 * that says which message, or which recipient, it is about. */
bool
inject_default_sender(struct inject_settings *settings, stralloc *out)
{
    struct mailbox mailbox = {.has_at = false};
    stralloc *local = &mailbox.local;

    bool ok = inject_own_address(settings, &mailbox, settings->sender_user,
                                 settings->sender_host);
    if (ok && settings->verp_message)
        ok = text_append(local, "-") &&
             text_append_number(local, (uint64_t)settings->now) &&
             text_append(local, ".") && text_append_number(local, (uint64_t)getpid());
    if (ok && settings->verp_recipient)
        ok = text_append(local, "-");
    out->len = 0;
    ok = ok && mailbox_append_raw(out, &mailbox);
    mailbox_free(&mailbox);
    return ok && (!settings->verp_recipient || text_append(out, "-@[]"));
}
