/* qmail-newmrh: compile control/morercpthosts into control/morercpthosts.cdb.
 *
 * usage   qmail-newmrh
 * stderr  what is wrong, with file and line
 * env     QMAILHOME
 * files   reads control/morercpthosts; writes control/morercpthosts.cdb.tmp, which
 *         replaces control/morercpthosts.cdb when it is whole and on disk
 * exit    0 done; 100 a line is no domain, or wrong usage: the old table stays;
 *         111 cannot read or write: the old table stays
 * spec    qmail-smtpd(8); the key is a domain, or ".suffix", in small letters; no data
 */

#include <errno.h>
#include <string.h>

#include <skalibs/buffer.h>
#include <skalibs/djbunix.h>
#include <skalibs/skamisc.h>
#include <skalibs/strerr.h>

#include "cdb_table.h"
#include "die.h"
#include "home.h"
#include "text.h"

static const char source[] = "control/morercpthosts";
static const char table[] = "control/morercpthosts.cdb";

static _Noreturn void
refuse_line(struct cdb_maker *maker, size_t number)
{
    stralloc reason = STRALLOC_ZERO;
    cdb_maker_abandon(maker);
    if (!text_copy(&reason, source) || !text_append(&reason, ":") ||
        !text_append_number(&reason, number) ||
        !text_append(&reason, ": this is no domain"))
        die_temp("read", source);
    die_perm(reason.s);
}

static _Noreturn void
give_up(struct cdb_maker *maker, const char *action, const char *object)
{
    cdb_maker_abandon(maker); /* keeps errno */
    die_temp(action, object);
}

static void
cut_blanks(stralloc *line)
{
    while (line->len && strchr(" \t\r\n", line->s[line->len - 1]) &&
           line->s[line->len - 1])
        line->len--;
}

/* No blanks, no control bytes, no '@': those lines would never match anything. */
static bool
is_domain(const stralloc *line)
{
    for (size_t i = 0; i < line->len; i++)
        if ((unsigned char)line->s[i] <= ' ' || line->s[i] == 127 || line->s[i] == '@')
            return false;
    return true;
}

static void
add_lines(struct cdb_maker *maker, int fd)
{
    char storage[4096];
    buffer input;
    stralloc line = STRALLOC_ZERO;
    int status;

    buffer_init(&input, &buffer_read, fd, storage, sizeof storage);
    for (size_t number = 1; (status = skagetln_loose(&input, &line, '\n')) > 0;
         number++, line.len = 0) {
        line.len--; /* the newline, or the '\0' that stands for a missing one */
        cut_blanks(&line);
        if (!line.len || line.s[0] == '#')
            continue;
        if (!is_domain(&line))
            refuse_line(maker, number);
        text_lower(line.s, line.len);
        if (!cdb_maker_add(maker, line.s, line.len, "", 0))
            give_up(maker, "write", table);
    }
    if (status < 0)
        give_up(maker, "read", source);
    stralloc_free(&line);
}

int
main(int argc, char **argv)
{
    struct cdb_maker maker;

    PROG = "qmail-newmrh";
    (void)argv;
    if (argc != 1)
        die_usage("qmail-newmrh");
    if (!home_enter())
        die_temp("enter", home_path());
    int fd = openc_readb(source);
    if (fd < 0)
        die_temp("read", source);
    if (!cdb_maker_start(&maker, table))
        die_temp("write", table);
    add_lines(&maker, fd);
    fd_close(fd);
    if (!cdb_maker_finish(&maker))
        die_temp("write", table);
    return 0;
}
