/* qmail-showctl: print every control file, what it is for, and what holds.
 *
 * usage   qmail-showctl
 * stdout  a paragraph for each file; a warning for each one in control/ that nobody reads
 * env     QMAILHOME: the home
 * files   control/
 * exit    0 printed; 100 bad usage; 111 cannot read the home or control/, or write stdout
 */

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <skalibs/buffer.h>
#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>

#include "control.h"
#include "control_table.h"
#include "die.h"
#include "home.h"
#include "text.h"

static void
put(const char *text)
{
    if (buffer_puts(buffer_1, text) < 0)
        die_temp("write", "output");
}

/* Print what a file contains, one indented line for each of its lines. */
static void
show_content(const stralloc *content)
{
    stralloc safe = STRALLOC_ZERO;

    if (content->len == 0)
        put("  (empty)\n");
    for (size_t at = 0; at < content->len; at += strlen(content->s + at) + 1) {
        const char *line = content->s + at;
        safe.len = 0;
        if (!text_append_safe(&safe, line, strlen(line), false))
            die_temp("show", "a control file");
        put("  ");
        put(safe.s);
        put("\n");
    }
    stralloc_free(&safe);
}

static enum control_status
read_content(stralloc *content, const struct control_file *file, const char *path)
{
    if (file->kind == CONTROL_KIND_LIST)
        return control_read_list(content, path);
    enum control_status status = control_read_line(content, path);
    if (status == CONTROL_FOUND && content->len > 0 && !stralloc_0(content))
        return CONTROL_ERROR;
    return status;
}

/* What holds where the file is missing. */
static void
show_default(const struct control_file *file, const stralloc *me)
{
    bool is_me = strcmp(file->otherwise, "me") == 0 && me->len > 0;
    put("  (default) ");
    put(is_me ? me->s : file->otherwise);
    put("\n");
}

static void
show_file(const struct control_file *file, const stralloc *me)
{
    stralloc path = STRALLOC_ZERO;
    stralloc content = STRALLOC_ZERO;

    if (!text_copy(&path, "control/") || !text_append(&path, file->name))
        die_temp("show", file->name);
    put(file->name);
    put(": ");
    put(file->meaning);
    put("\n");
    switch (read_content(&content, file, path.s)) {
    case CONTROL_FOUND:
        if (file->kind == CONTROL_KIND_TABLE)
            put("  (compiled)\n");
        else
            show_content(&content);
        break;
    case CONTROL_ABSENT:
        show_default(file, me);
        break;
    case CONTROL_ERROR:
        put("  (unreadable: ");
        put(strerror(errno));
        put(")\n");
    }
    stralloc_free(&path);
    stralloc_free(&content);
}

/* Warn of files that no program reads: a misspelt name does nothing in silence. */
static void
warn_of_unknown(void)
{
    DIR *dir = opendir("control");
    if (!dir)
        die_temp("open", "control");
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry)
            break;
        if (entry->d_name[0] == '.' || control_table_find(entry->d_name))
            continue;
        put("warning: no program reads control/");
        put(entry->d_name);
        put("\n");
    }
    if (errno)
        die_temp("read", "control");
    closedir(dir);
}

int
main(int argc, const char *const *argv)
{
    PROG = "qmail-showctl";
    stralloc me = STRALLOC_ZERO;
    size_t count;

    (void)argv;
    if (argc != 1)
        die_usage("qmail-showctl");
    if (!home_enter())
        die_temp("enter", home_path());
    if (control_read_line(&me, "control/me") == CONTROL_ERROR)
        die_temp("read", "control/me");
    put("home: ");
    put(home_path());
    put("\n");
    const struct control_file *files = control_table(&count);
    for (size_t i = 0; i < count; i++)
        show_file(&files[i], &me);
    warn_of_unknown();
    if (!buffer_flush(buffer_1))
        die_temp("write", "output");
    return 0;
}
