#include "spawn_report.h"

#include <string.h>

#include <sys/wait.h>

#include "child.h"
#include "text.h"

enum {
    OWN_STRINGS = 64, /* "report" and the number */
    FIRST_RECIPIENT = 2,
};

size_t
spawn_report_room(unsigned int recipients)
{
    size_t room = (HANDOFF_STRINGS_MAX - OWN_STRINGS) / (recipients ? recipients : 1);
    room = room > 2 ? room - 2 : 0; /* letter and NUL */
    return room < SPAWN_REPORT_TEXT_MAX ? room : SPAWN_REPORT_TEXT_MAX;
}

static bool
is_letter(char letter)
{
    return letter == 'K' || letter == 'Z' || letter == 'D';
}

bool
spawn_report_append_one(stralloc *out, const char *text, size_t room)
{
    return text_append_bytes(out, text, strnlen(text, room + 1)) && stralloc_0(out);
}

int
spawn_report_append(stralloc *out, const struct handoff *packet, unsigned int recipients,
                    size_t room)
{
    size_t before = out->len;
    for (unsigned int i = 0; i < recipients; i++) {
        const char *text = handoff_string(packet, FIRST_RECIPIENT + i);
        if (!text || !is_letter(*text)) {
            out->len = before;
            return 0;
        }
        if (!spawn_report_append_one(out, text, room))
            return -1;
    }
    if (handoff_string(packet, FIRST_RECIPIENT + recipients)) {
        out->len = before;
        return 0;
    }
    return 1;
}

bool
spawn_report_append_all(stralloc *out, unsigned int recipients, const char *text)
{
    size_t room = spawn_report_room(recipients);
    while (recipients--)
        if (!spawn_report_append_one(out, text, room))
            return false;
    return true;
}

/* Append letter, and "name did so". */
static bool
append_own(stralloc *out, char letter, const char *name, const char *what)
{
    return text_append_bytes(out, &letter, 1) && text_append(out, name) &&
           text_append_string(out, what);
}

/* The first of the reports (each ended by NUL) on the whole message; null: none. */
static const char *
find_message_report(const stralloc *output)
{
    size_t at = 0;
    while (at < output->len) {
        const char *end = memchr(output->s + at, '\0', output->len - at);
        if (!end)
            return NULL;
        if (is_letter(output->s[at]))
            return output->s + at;
        at = (size_t)(end - output->s) + 1;
    }
    return NULL;
}

/* How good an outcome is: the recipient's letter can only make the message's worse or,
 * for a temporary failure, postpone it. */
static int
rank_of(char letter)
{
    return letter == 'K' ? 2 : letter == 'Z' ? 1 : 0;
}

bool
spawn_report_append_remote(stralloc *out, const char *name, int wait_status,
                           const stralloc *output)
{
    if (!WIFEXITED(wait_status))
        return append_own(out, 'Z', name, " crashed (#4.3.0)\n");
    int code = WEXITSTATUS(wait_status);
    if (code == 111 || code == CHILD_SYSTEM || code == CHILD_EXEC_SOFT ||
        code == CHILD_EXEC_HARD) /* an administrator's slip must not bounce the mail */
        return append_own(out, 'Z', name, " cannot be run now (#4.3.0)\n");
    if (code)
        return append_own(out, 'D', name, " cannot be run (#5.3.0)\n");
    if (!output->len)
        return append_own(out, 'Z', name, " produced no output (#4.3.0)\n");

    const char *message = find_message_report(output);
    if (!message)
        return append_own(out, 'Z', name, " produced a mangled report (#4.3.0)\n");
    const char *recipient = output->s == message ? NULL : output->s;
    char letter = *message;
    if (recipient && *recipient == 's')
        letter = 'Z';
    if (recipient && *recipient == 'h')
        letter = 'D';
    size_t start = out->len;
    if (!text_append_bytes(out, &letter, 1) ||
        !text_append(out, recipient ? recipient + !!*recipient : ""))
        return false;
    if ((rank_of(*message) <= rank_of(letter)) && !text_append(out, message + 1))
        return false;
    if (out->len - start > SPAWN_REPORT_TEXT_MAX + 1)
        out->len = start + SPAWN_REPORT_TEXT_MAX + 1;
    return stralloc_0(out);
}

bool
spawn_report_append_local(stralloc *out, const char *name, int wait_status,
                          const stralloc *output)
{
    char letter;

    if (!WIFEXITED(wait_status))
        return append_own(out, 'Z', name, " crashed (#4.3.0)\n");
    switch (WEXITSTATUS(wait_status)) {
    case 0:
        letter = 'K';
        break;
    case 111:
    case 71:
    case 74:
    case 75:
        letter = 'Z';
        break;
    case CHILD_ROOT:
        return append_own(out, 'Z', name, " must not run as root (#4.3.0)\n");
    case 115: /* what qmail-local and qmail-lspawn have told each other */
    case 117:
    case 119:
    case CHILD_SYSTEM:
    case CHILD_EXEC_SOFT:
    case CHILD_EXEC_HARD:
        return append_own(out, 'Z', name, " cannot be run now (#4.3.0)\n");
    default:
        letter = 'D';
    }
    size_t len = output->len ? strnlen(output->s, output->len) : 0;
    if (len > SPAWN_REPORT_TEXT_MAX)
        len = SPAWN_REPORT_TEXT_MAX;
    return text_append_bytes(out, &letter, 1) &&
           text_append_bytes(out, len ? output->s : "", len) && stralloc_0(out);
}
