/* Envelope addresses and reports, as strangers send them: routes, senders of
 * lists, notices. Input: recipient, sender, report, each ended by a newline (the
 * report by the end). */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bounce.h"
#include "route.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(int ok)
{
    if (!ok)
        abort();
}

static void
fill(struct name_map *map, const char *text, size_t len, char separator)
{
    stralloc list = STRALLOC_ZERO;
    check(text_copy_bytes(&list, text, len) && name_map_build(map, &list, separator));
    stralloc_free(&list);
}

static void
set_up(struct config *config)
{
    static const char locals[] = "me.example\0hack.example";
    static const char hack[] = "hack.example";
    static const char virtual[] = "v.example:joe\0.v.example:sub\0a@b.example:x";
    fill(&config->locals, locals, sizeof locals, '\0');
    fill(&config->percenthack, hack, sizeof hack, '\0');
    fill(&config->virtualdomains, virtual, sizeof virtual, ':');
    check(text_copy(&config->envnoathost, "me.example") &&
          text_copy(&config->bouncefrom, "MAILER-DAEMON") &&
          text_copy(&config->bouncehost, "me.example") &&
          text_copy(&config->doublebounceto, "postmaster") &&
          text_copy(&config->doublebouncehost, "me.example"));
}

/* A notice has no header line or paragraph that the stranger chose. */
static void
check_notice(const stralloc *text)
{
    const char *body = strstr(text->s, "\n\n");
    check(body && strncmp(body + 2, "Hi. This is the", 15) == 0);
    const char *address = strstr(body + 2, "\n\n<");
    check(address && strstr(address, "\n\n---"));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config config;
    static struct route route;
    static stralloc input, sender, failures, notice;
    if (!config.envnoathost.len)
        set_up(&config);
    check(text_copy_bytes(&input, (const char *)data, size));
    char *rest = input.s;
    const char *recipient = strsep(&rest, "\n");
    const char *from = rest ? strsep(&rest, "\n") : "";
    const char *report = rest ? rest : "";

    check(route_find(&route, &config, recipient));
    check(strchr(route.address.s, '@') && route.prepend_len < route.address.len);
    check(route_expand_sender(&sender, from, route.address.s + route.prepend_len));
    failures.len = 0;
    check(bounce_append_failure(&failures, route.address.s + route.prepend_len, report));
    enum bounce_kind kind = bounce_kind_of(from);
    if (kind == BOUNCE_TRIPLE)
        return 0;
    check(bounce_make_text(&notice, &config, kind, from, &failures, 1789000000));
    check_notice(&notice);
    return 0;
}
