/* qbiff: tell a user who is logged in that mail has come, for a .qmail line.
 *
 * usage   qbiff
 * libc    glibc (it knows utmp)
 * stdin   the message
 * env     SENDER, USER, EXT; all optional but USER
 * files   utmp; the terminals in it that belong to USER and have the x bit (`biff y`)
 * exit    0, also when nobody is logged in; 100 bad usage; 111 cannot read the message
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utmpx.h>

#include <sys/stat.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/strerr.h>

#include "die.h"
#include "header.h"
#include "header_read.h"
#include "text.h"

enum { HEADER_MAX = 64 * 1024, VALUE_MAX = 70 };

static const char *
env_or_empty(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

/* One line of foreign text: no control bytes for a terminal, and not too many others. */
static bool
append_line(stralloc *note, const char *label, const char *value, size_t len)
{
    while (len && (*value == ' ' || *value == '\t')) {
        value++;
        len--;
    }
    const char *newline = memchr(value, '\n', len);
    if (newline)
        len = (size_t)(newline - value);
    return text_append(note, label) &&
           text_append_safe(note, value, len < VALUE_MAX ? len : VALUE_MAX, false) &&
           text_append(note, "\r\n");
}

static void
make_note(stralloc *note, const stralloc *header)
{
    struct header_field field;
    size_t at = 0;
    stralloc to = STRALLOC_ZERO;
    const char *sender = env_or_empty("SENDER");
    const char *ext = env_or_empty("EXT");

    bool ok = text_copy(&to, env_or_empty("USER")) &&
              (!*ext || (text_append(&to, "-") && text_append(&to, ext))) &&
              text_copy(note, "\r\n\a") && append_line(note, "*** TO ", to.s, to.len) &&
              append_line(note, "*** SENDER ", sender, strlen(sender));
    while (ok && header_next(header->s, header->len, &at, &field)) {
        if (header_field_is(&field, "From"))
            ok = append_line(note, "From: ", field.value, field.value_len);
        else if (header_field_is(&field, "Subject"))
            ok = append_line(note, "Subject: ", field.value, field.value_len);
    }
    stralloc_free(&to);
    if (!ok)
        die_temp("write", "the note");
}

/* line  as in utmp: below /dev, perhaps not terminated */
static void
tell(const char *line, size_t size, const stralloc *note)
{
    struct stat status;
    stralloc path = STRALLOC_ZERO;
    size_t len = strnlen(line, size);

    if (!text_copy(&path, "/dev/") || !text_append_bytes(&path, line, len) ||
        strstr(path.s, "..") || stat(path.s, &status) < 0 || !S_ISCHR(status.st_mode) ||
        status.st_uid != geteuid() || !(status.st_mode & S_IXUSR))
        return;
    /* a terminal that is stopped must not stop the delivery */
    int fd = open(path.s, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0) {
        (void)allwrite(fd, note->s, note->len);
        close(fd);
    }
    stralloc_free(&path);
}

int
main(int argc, const char *const *argv)
{
    stralloc header = STRALLOC_ZERO, note = STRALLOC_ZERO;
    const struct utmpx *entry;

    (void)argv;
    PROG = "qbiff";
    if (argc != 1)
        die_usage("qbiff");
    const char *user = getenv("USER");
    if (!user)
        die_perm("USER is not set");
    if (!header_read(&header, HEADER_MAX))
        die_temp("read", "the message");
    make_note(&note, &header);
    setutxent();
    while ((entry = getutxent()))
        if (entry->ut_type == USER_PROCESS &&
            strncmp(entry->ut_user, user, sizeof entry->ut_user) == 0)
            tell(entry->ut_line, sizeof entry->ut_line, &note);
    endutxent();
    return 0;
}
