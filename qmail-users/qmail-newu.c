/* qmail-newu: compile users/assign into users/cdb.
 *
 * usage   qmail-newu
 * env     QMAILHOME: the home
 * files   users/assign; users/cdb, which appears whole or not at all, by users/cdb.tmp
 * exit    0 done: deliveries use the new table from now on; 100 bad usage; 111
 *         users/assign has a mistake (the line is named) or a file cannot be read or
 *         written: nothing has changed
 * spec    qmail-users(5)
 */

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/buffer.h>
#include <skalibs/djbunix.h>
#include <skalibs/skamisc.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "assign_line.h"
#include "cdb_table.h"
#include "die.h"
#include "exitcode.h"
#include "home.h"
#include "text.h"

static const char assign[] = "users/assign";
static const char table[] = "users/cdb";

/* The table in the making. */
struct compiler {
    struct cdb_maker maker;
    unsigned int line_number;
    stralloc wilds; /* the last bytes of all wildcards */
    stralloc key;
    stralloc data;
};

static _Noreturn void
die_write(struct compiler *compiler)
{
    cdb_maker_abandon(&compiler->maker);
    die_temp("write", "users/cdb.tmp");
}

static _Noreturn void
die_syntax(struct compiler *compiler, const char *reason)
{
    char number[UINT_FMT];
    cdb_maker_abandon(&compiler->maker);
    number[uint_fmt(number, compiler->line_number)] = '\0';
    strerr_dief(EXITCODE_TEMPORARY, assign, ":", number, ": ", reason);
}

static void
add_line(struct compiler *compiler, const char *line, size_t len)
{
    char wild;
    const char *reason;
    enum assign_status status =
        assign_line_parse(line, len, &compiler->key, &compiler->data, &wild, &reason);
    if (status == ASSIGN_SYNTAX)
        die_syntax(compiler, reason);
    if (status == ASSIGN_ERROR)
        die_write(compiler);
    if (wild &&
        (!compiler->wilds.len || !memchr(compiler->wilds.s, wild, compiler->wilds.len)) &&
        !text_append_bytes(&compiler->wilds, &wild, 1))
        die_write(compiler);
    if (!cdb_maker_add(&compiler->maker, compiler->key.s, compiler->key.len,
                       compiler->data.s, compiler->data.len))
        die_write(compiler);
}

/* Add every line up to the one that begins with a dot, without which a file is cut. */
static void
add_lines(struct compiler *compiler, int fd)
{
    char storage[4096];
    buffer input;
    stralloc line = STRALLOC_ZERO;

    buffer_init(&input, &buffer_read, fd, storage, sizeof storage);
    for (;;) {
        line.len = 0;
        int status = skagetln_loose(&input, &line, '\n');
        if (status < 0) {
            cdb_maker_abandon(&compiler->maker); /* keeps errno */
            die_temp("read", assign);
        }
        compiler->line_number++;
        if (status && line.s[0] == '.')
            break;
        if (status != 1)
            die_syntax(compiler, "the file does not end with a line \".\"");
        add_line(compiler, line.s, line.len - 1);
    }
    stralloc_free(&line);
}

int
main(int argc, char **argv)
{
    PROG = "qmail-newu";
    struct compiler compiler = {.line_number = 0};

    (void)argv;
    if (argc != 1)
        die_usage("qmail-newu");
    if (!home_enter())
        die_temp("enter", home_path());
    int fd = openc_readb(assign);
    if (fd < 0)
        die_temp("read", assign);
    if (!cdb_maker_start(&compiler.maker, table))
        die_temp("write", "users/cdb.tmp");
    add_lines(&compiler, fd);
    if (!cdb_maker_add(&compiler.maker, "", 0, compiler.wilds.len ? compiler.wilds.s : "",
                       compiler.wilds.len))
        die_write(&compiler);
    if (!cdb_maker_finish(&compiler.maker))
        die_temp("put in place", table);
    return 0;
}
