/* mailsubj: send what comes on stdin under a subject.
 *
 * usage   mailsubj subject recipient ...
 * stdin   the body
 * env     as qmail-inject
 * runs    bin/qmail-inject with a header of Subject and To
 * exit    as qmail-inject; 100 wrong usage
 * spec    recipients are addresses as in a header field, RFC 5322 3.4
 */
#include <stdbool.h>
#include <unistd.h>

#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>

#include "die.h"
#include "feed.h"
#include "home.h"
#include "text.h"

/* Text of one line, whatever it holds: no argument may begin a field or the body. */
static bool
append_line(stralloc *out, const char *text)
{
    size_t start = out->len;
    if (!text_append(out, text))
        return false;
    for (size_t i = start; i < out->len; i++)
        if (out->s[i] == '\n' || out->s[i] == '\r')
            out->s[i] = ' ';
    return true;
}

static bool
make_header(stralloc *header, const char *subject, char **recipients)
{
    if (!text_copy(header, "Subject: ") || !append_line(header, subject))
        return false;
    for (const char *before = "\nTo: "; *recipients; recipients++, before = ",\n  ")
        if (!text_append(header, before) || !append_line(header, *recipients))
            return false;
    return text_append(header, "\n\n");
}

int
main(int argc, char **argv)
{
    stralloc header = STRALLOC_ZERO;
    stralloc program = STRALLOC_ZERO;
    int status;
    PROG = "mailsubj";

    if (argc < 3)
        die_usage("mailsubj subject recipient ...");
    if (!make_header(&header, argv[1], argv + 2) || !text_copy(&program, home_path()) ||
        !text_append(&program, "/bin/qmail-inject"))
        die_temp("allocate", "memory");
    if (!feed_program((char *[]){program.s, NULL}, header.s, header.len, &status))
        die_temp("pass the message to", program.s);
    return feed_exit_code(status);
}
