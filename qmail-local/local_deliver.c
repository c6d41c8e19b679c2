#include "local_deliver.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "dot_line.h"
#include "exitcode.h"
#include "home.h"
#include "local_forward.h"
#include "maildir.h"
#include "mbox.h"
#include "program.h"
#include "text.h"

enum count { COUNT_FILES, COUNT_FORWARDS, COUNT_PROGRAMS, COUNTS };

struct delivery {
    struct local_job *job;
    struct local_plan *plan;
    struct local_result *result;
    stralloc newsender;
    stralloc recipients; /* of forwards, each ended by '\0' */
    stralloc maildirs;   /* paths of the Maildir lines so far, each ended by '\0' */
    unsigned int counts[COUNTS];
    bool home_is_current;
};

static bool
no_memory(struct delivery *delivery)
{
    return local_result_defer(delivery->result, "out of memory (#4.3.0)");
}

/* Flush, publish, flush. fd is closed. */
static bool
publish(const struct maildir *maildir, const char *temporary, const char *name, int fd)
{
    bool flushed = fsync(fd) == 0;
    int saved = errno;
    if (close(fd) < 0 && flushed) {
        saved = errno;
        flushed = false;
    }
    if (flushed)
        return maildir_publish(maildir, temporary, name) != MAILDIR_PUBLISH_ERROR &&
               fsync(maildir->new) == 0;
    (void)unlinkat(maildir->tmp, temporary, 0);
    errno = saved;
    return false;
}

static bool
deliver_to_open_maildir(struct delivery *delivery, const struct maildir *maildir,
                        const char *path, const char *name)
{
    const struct local_job *job = delivery->job;
    stralloc temporary = STRALLOC_ZERO;

    enum maildir_presence presence =
        job->may_repeat ? maildir_look(maildir, name) : MAILDIR_ABSENT;
    if (presence == MAILDIR_PRESENT)
        return true;
    if (presence == MAILDIR_UNREADABLE)
        return local_result_defer_errno(delivery->result, "read", path, "4.3.0");
    /* its own name in tmp/: the same recipient, given twice, may be in work in another
     * process at this moment */
    if (!text_copy(&temporary, name))
        return no_memory(delivery);
    int fd =
        maildir_write_own(maildir, &temporary, &delivery->plan->lines, &job->message);
    bool ok = fd >= 0 && publish(maildir, temporary.s, name, fd);
    if (!ok)
        local_result_defer_errno(delivery->result, "write to", path, "4.3.0");
    stralloc_free(&temporary);
    return ok;
}

static bool
deliver_to_maildir(struct delivery *delivery, const char *path)
{
    struct maildir maildir;
    stralloc name = STRALLOC_ZERO;
    unsigned int nth = maildir_count_path(&delivery->maildirs, path);

    delivery->counts[COUNT_FILES]++;
    if (!text_append_bytes(&delivery->maildirs, path, strlen(path) + 1))
        return no_memory(delivery);
    if (!maildir_open(&maildir, delivery->plan->home, path))
        return local_result_defer_errno(delivery->result, "open the maildir", path,
                                        "4.2.1");
    bool ok = maildir_make_name(&name, delivery->job, path, nth)
                  ? deliver_to_open_maildir(delivery, &maildir, path, name.s)
                  : no_memory(delivery);
    stralloc_free(&name);
    maildir_close(&maildir);
    return ok;
}

static bool
deliver_to_mbox(struct delivery *delivery, const char *path)
{
    delivery->counts[COUNT_FILES]++;
    return mbox_append(delivery->plan->home, path, &delivery->plan->lines,
                       &delivery->job->message, delivery->result);
}

/* Where control/ and the queue are. */
static bool
enter_home(struct delivery *delivery)
{
    if (!delivery->home_is_current && !home_enter())
        return local_result_defer_errno(delivery->result, "enter", home_path(), "4.3.0");
    delivery->home_is_current = true;
    return true;
}

/* returns  true: go on with the next line */
static bool
run_program(struct delivery *delivery, const char *command, bool *stop)
{
    delivery->counts[COUNT_PROGRAMS]++;
    if (!enter_home(delivery))
        return false;
    switch (program_run(delivery->job, delivery->plan->home, command, delivery->result)) {
    case OUTCOME_SUCCESS:
        return true;
    case OUTCOME_STOP:
        *stop = true;
        return true;
    case OUTCOME_PERMANENT:
        delivery->result->code = EXITCODE_PERMANENT;
        return false;
    case OUTCOME_TEMPORARY:
        break;
    }
    delivery->result->code = EXITCODE_TEMPORARY;
    return false;
}

static bool
note_forward(struct delivery *delivery, const char *address)
{
    delivery->counts[COUNT_FORWARDS]++;
    return text_append_bytes(&delivery->recipients, address, strlen(address) + 1) ||
           no_memory(delivery);
}

static bool
follow_line(struct delivery *delivery, const struct dot_line *line, bool *stop)
{
    switch (line->kind) {
    case DOT_LINE_NOTHING:
        return true;
    case DOT_LINE_PROGRAM:
        return run_program(delivery, line->text, stop);
    case DOT_LINE_MAILDIR:
        return deliver_to_maildir(delivery, line->text);
    case DOT_LINE_MBOX:
        return deliver_to_mbox(delivery, line->text);
    case DOT_LINE_FORWARD:
        return note_forward(delivery, line->text);
    default:
        return local_result_defer(delivery->result, dot_line_complaint(line->kind));
    }
}

/* NEWSENDER and the rest of the environment */
static bool
prepare(struct delivery *delivery)
{
    const struct local_job *job = delivery->job;
    const struct local_plan *plan = delivery->plan;
    enum dot_qmail_owner owner = DOT_QMAIL_OWNER_NONE;

    if (local_forward_has_owner(job->sender))
        owner = dot_qmail_find_owner(plan->home, job->dash, job->ext);
    if (owner == DOT_QMAIL_OWNER_ERROR)
        return local_result_defer_errno(delivery->result, "look for", "the owner file",
                                        "4.3.0");
    return (local_forward_sender(&delivery->newsender, job, owner) &&
            program_set_environment(job, &plan->lines, delivery->newsender.s,
                                    plan->file.default_part)) ||
           no_memory(delivery);
}

/* The forwards, all at once, after everything else has gone well. */
static bool
forward(struct delivery *delivery, uint64_t *qp)
{
    if (!delivery->recipients.len)
        return true;
    if (!enter_home(delivery))
        return false;
    return local_forward_send(delivery->job, &delivery->plan->lines,
                              delivery->newsender.s, &delivery->recipients, qp,
                              delivery->result);
}

static void
follow_lines(struct delivery *delivery)
{
    struct dot_qmail *file = &delivery->plan->file;
    struct dot_lines lines;
    struct dot_line line;
    bool stop = false;
    uint64_t qp = 0;

    dot_lines_start(&lines, file->text.s, file->text.len, file->forward_only);
    while (!stop && dot_lines_next(&lines, &line))
        if (!follow_line(delivery, &line, &stop))
            return;
    if (!forward(delivery, &qp))
        return;
    local_result_count(delivery->result, delivery->counts);
    if (delivery->recipients.len)
        (void)(text_append(&delivery->result->text, "qp ") &&
               text_append_number(&delivery->result->text, qp) &&
               text_append(&delivery->result->text, "\n"));
}

void
local_deliver(struct local_job *job, struct local_plan *plan, bool home_is_current,
              struct local_result *result)
{
    struct delivery delivery = {
        .job = job, .plan = plan, .result = result, .home_is_current = home_is_current};

    if (prepare(&delivery))
        follow_lines(&delivery);
    stralloc_free(&delivery.newsender);
    stralloc_free(&delivery.recipients);
    stralloc_free(&delivery.maildirs);
}

void
local_rehearse(struct local_plan *plan, struct local_result *result)
{
    static const char *const words[] = {[DOT_LINE_PROGRAM] = "program ",
                                        [DOT_LINE_MAILDIR] = "maildir ",
                                        [DOT_LINE_MBOX] = "mbox ",
                                        [DOT_LINE_FORWARD] = "forward "};
    struct dot_lines lines;
    struct dot_line line;

    dot_lines_start(&lines, plan->file.text.s, plan->file.text.len,
                    plan->file.forward_only);
    while (dot_lines_next(&lines, &line)) {
        if (dot_line_complaint(line.kind)) {
            local_result_defer(result, dot_line_complaint(line.kind));
            return;
        }
        if (line.kind != DOT_LINE_NOTHING &&
            (!text_append(&result->text, words[line.kind]) ||
             !text_append(&result->text, line.text) || !text_append(&result->text, "\n")))
            return;
    }
}
