#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#include <skalibs/buffer.h>
#include <skalibs/djbunix.h>
#include <skalibs/skamisc.h>
#include <skalibs/types.h>

static void
cut_trailing_blanks(stralloc *value)
{
    while (value->len && strchr(" \t\r\n", value->s[value->len - 1]) &&
           value->s[value->len - 1])
        value->len--;
}

/* Read a line without its end and trailing blanks. returns as skagetln_loose: for a last
 * line without newline that puts a '\0' in place of it, and counts it (skalibs 2.13). */
static int
read_line(buffer *input, stralloc *line)
{
    int status = skagetln_loose(input, line, '\n');
    if (status > 0)
        line->len--;
    cut_trailing_blanks(line);
    return status;
}

/* Append the '\0' that every text has behind it, and do not count it. */
static bool
terminate(stralloc *value)
{
    if (!stralloc_0(value))
        return false;
    value->len--;
    return true;
}

enum control_status
control_read_line(stralloc *value, const char *path)
{
    char storage[256];
    buffer input;
    enum control_status found = CONTROL_FOUND;

    value->len = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        buffer_init(&input, &buffer_read, fd, storage, sizeof storage);
        int status = read_line(&input, value);
        fd_close(fd); /* keeps errno */
        if (status < 0)
            return CONTROL_ERROR;
    } else if (errno == ENOENT) {
        found = CONTROL_ABSENT;
    } else {
        return CONTROL_ERROR;
    }
    return terminate(value) ? found : CONTROL_ERROR;
}

enum control_status
control_read_line_or_me(stralloc *value, const char *path, const char *otherwise)
{
    enum control_status status = control_read_line(value, path);
    if (status == CONTROL_ABSENT)
        status = control_read_line(value, "control/me");
    if (status != CONTROL_ABSENT)
        return status;
    return stralloc_copys(value, otherwise) && terminate(value) ? CONTROL_FOUND
                                                                : CONTROL_ERROR;
}

enum control_status
control_read_list(stralloc *list, const char *path)
{
    char storage[4096];
    buffer input;
    stralloc line = STRALLOC_ZERO;
    int status;

    list->len = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? CONTROL_ABSENT : CONTROL_ERROR;
    buffer_init(&input, &buffer_read, fd, storage, sizeof storage);
    while ((status = read_line(&input, &line)) > 0) {
        if (line.len && line.s[0] != '#' && line.s[0]) {
            if (!stralloc_0(&line) || !stralloc_cats(list, line.s) || !stralloc_0(list)) {
                status = -1;
                break;
            }
        }
        line.len = 0;
    }
    fd_close(fd);
    stralloc_free(&line);
    return status < 0 ? CONTROL_ERROR : CONTROL_FOUND;
}

enum control_status
control_read_number(uint64_t *value, const char *path)
{
    stralloc line = STRALLOC_ZERO;
    uint64_t number;

    enum control_status status = control_read_line(&line, path);
    if (status == CONTROL_FOUND && !line.len) {
        status = CONTROL_ABSENT; /* an empty file has always meant the default */
    } else if (status == CONTROL_FOUND && uint640_scan(line.s, &number)) {
        *value = number;
    } else if (status == CONTROL_FOUND) {
        errno = EINVAL;
        status = CONTROL_ERROR;
    }
    stralloc_free(&line);
    return status;
}
