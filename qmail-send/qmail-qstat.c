/* qmail-qstat: say how many messages are in the queue.
 *
 * usage   qmail-qstat
 * stdout  "messages in queue: N", "messages in queue but not yet preprocessed: N"
 * files   queue/control: qmail-send is asked; when it does not run queue/mess is counted
 * exit    0; 100 bad usage, or not allowed; 111 trouble
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "die.h"
#include "home.h"
#include "operator_ask.h"
#include "queue_list.h"

struct counts {
    uint64_t messages;
    uint64_t unprocessed;
};

static _Noreturn void
die_queue(void)
{
    if (errno == EACCES)
        die_perm("only root and the owner of the queue may look into it");
    die_temp("read", "the queue");
}

/* Take "name number" lines apart. */
static void
parse(struct counts *counts, const char *text)
{
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
        if (strncmp(line, "messages ", 9) == 0)
            uint64_scan(line + 9, &counts->messages);
        else if (strncmp(line, "unprocessed ", 12) == 0)
            uint64_scan(line + 12, &counts->unprocessed);
        if (!strchr(line, '\n'))
            return;
    }
}

/* Nobody works on the queue, so nothing is "preprocessed" either, but soon will be. */
static void
count_files(struct counts *counts)
{
    struct queue_list list = {0};
    if (!queue_list_read(&list))
        die_queue();
    counts->messages = list.count;
}

int
main(int argc, char **argv)
{
    struct counts counts = {0};
    stralloc text = STRALLOC_ZERO;

    PROG = "qmail-qstat";
    (void)argv;
    if (argc != 1)
        die_usage("qmail-qstat");
    if (!home_enter())
        die_temp("enter", home_path());
    switch (operator_ask("stat", &text)) {
    case OPERATOR_OK:
        parse(&counts, text.s);
        break;
    case OPERATOR_DOWN:
    case OPERATOR_REFUSED:
        count_files(&counts);
        break;
    case OPERATOR_FORBIDDEN:
    case OPERATOR_ERROR:
        die_queue();
    }
    if (printf("messages in queue: %" PRIu64 "\n"
               "messages in queue but not yet preprocessed: %" PRIu64 "\n",
               counts.messages, counts.unprocessed) < 0 ||
        fflush(stdout) != 0)
        die_temp("write", "output");
    return 0;
}
