/* qmail-qread: list the messages in the queue and their recipients.
 *
 * usage   qmail-qread
 * stdout  for a message "<date> GMT  #<id>  <bytes>  <<sender>> [bouncing]", then for
 *         each recipient "[  done]<tab>local|remote<tab><address>"
 * files   queue/mess; control/: the way of each recipient is what it would be now
 * exit    0; 100 bad usage, or not allowed; 111 trouble
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "config.h"
#include "die.h"
#include "home.h"
#include "queue_file.h"
#include "queue_list.h"
#include "route.h"
#include "text.h"

struct reader {
    struct config config;
    struct route route;
    struct queue_file file;
    stralloc line;
};

static void
print(const stralloc *line)
{
    if (fwrite(line->s, 1, line->len, stdout) != line->len)
        die_temp("write", "output");
}

/* The birth time: what the 'B' record says, else the id, which is a time too. */
static uint64_t
birth_of(const struct queue_file *file, uint64_t id)
{
    size_t at = 0;
    char letter;
    const char *text;
    uint64_t birth_s;
    while (queue_file_next(file, &at, &letter, &text))
        if (letter == 'B' && uint640_scan(text, &birth_s))
            return birth_s;
    return id / 1000000;
}

static bool
describe_message(struct reader *reader, uint64_t id)
{
    const struct queue_file *file = &reader->file;
    stralloc *line = &reader->line;
    const char *sender = file->envelope.s + 1; /* 'F' is the first record */

    if (!text_copy(line, "") || !text_append_date(line, (int64_t)birth_of(file, id)))
        return false;
    line->len -= strlen("-0000");
    return text_append(line, "GMT  #") && text_append_number(line, id) &&
           text_append(line, "  ") && text_append_number(line, file->message_len) &&
           text_append(line, "  <") &&
           text_append_safe(line, sender, strlen(sender), true) &&
           text_append(line, "> \n");
}

static bool
describe_recipient(struct reader *reader, char letter, const char *recipient)
{
    stralloc *line = &reader->line;
    const struct route *route = &reader->route;
    return route_find(&reader->route, &reader->config, recipient) &&
           text_copy(line, letter == 'D' ? "  done" : "") &&
           text_append(line, route->is_local ? "\tlocal\t" : "\tremote\t") &&
           text_append_safe(line, route->address.s, route->address.len, true) &&
           text_append(line, "\n");
}

static void
print_message(struct reader *reader, uint64_t id)
{
    size_t at = 0;
    char letter;
    const char *text;

    if (!describe_message(reader, id))
        die_temp("describe", "a message");
    print(&reader->line);
    while (queue_file_next(&reader->file, &at, &letter, &text)) {
        if (letter != 'T' && letter != 'D')
            continue;
        if (!describe_recipient(reader, letter, text))
            die_temp("describe", "a recipient");
        print(&reader->line);
    }
}

/* Messages come and go meanwhile; what is gone, or not yet complete, is left out. */
static void
read_message(struct reader *reader, uint64_t id)
{
    char path[QUEUE_FILE_PATH_MAX];
    queue_file_path(path, id);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        if (errno != ENOENT)
            strerr_warnwu2sys("open ", path);
        return;
    }
    enum queue_file_status status = queue_file_read(fd, &reader->file, false);
    if (status == QUEUE_FILE_OK)
        print_message(reader, id);
    else if (status == QUEUE_FILE_ERROR)
        strerr_warnwu2sys("read ", path);
    close(fd);
}

int
main(int argc, char **argv)
{
    static struct reader reader;
    struct queue_list list = {0};
    const char *bad_file;

    PROG = "qmail-qread";
    (void)argv;
    if (argc != 1)
        die_usage("qmail-qread");
    if (!home_enter())
        die_temp("enter", home_path());
    if (!config_read(&reader.config, &bad_file))
        die_temp("read", bad_file);
    if (!queue_list_read(&list)) {
        if (errno == EACCES)
            die_perm("only root and the owner of the queue may look into it");
        die_temp("read", "the queue");
    }
    for (size_t i = 0; i < list.count; i++)
        read_message(&reader, list.ids[i]);
    if (fflush(stdout) != 0)
        die_temp("write", "output");
    return 0;
}
