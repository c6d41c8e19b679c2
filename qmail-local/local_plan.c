#include "local_deliver.h"

#include <time.h>
#include <unistd.h>

#include "text.h"

static bool
open_home(struct local_plan *plan, const char *path, bool rehearse,
          struct local_result *result)
{
    switch (dot_qmail_open_home(path, &plan->home)) {
    case DOT_QMAIL_HOME_OK:
        return true;
    case DOT_QMAIL_HOME_WRITABLE:
        return local_result_defer(result, "the home directory is writable (#4.7.0)");
    case DOT_QMAIL_HOME_STICKY:
        if (rehearse)
            return text_append(&result->text, "warning: the home directory is sticky\n");
        return local_result_defer(result,
                                  "the home directory is sticky: its user is editing "
                                  "the .qmail files (#4.2.1)");
    case DOT_QMAIL_HOME_ERROR:
        break;
    }
    return local_result_defer_errno(result, "enter the home directory", path, "4.3.0");
}

static bool
find_instructions(struct local_plan *plan, const struct local_job *job,
                  struct local_result *result)
{
    struct dot_qmail *file = &plan->file;

    switch (dot_qmail_find(file, plan->home, job->dash, job->ext)) {
    case DOT_QMAIL_FILE:
        return true;
    case DOT_QMAIL_DEFAULT:
        if (!*job->defaultdelivery)
            return local_result_defer(result, "there is no default delivery (#4.2.1)");
        if (text_copy(&file->text, job->defaultdelivery))
            return true;
        return local_result_defer(result, "out of memory (#4.3.0)");
    case DOT_QMAIL_ABSENT:
        return local_result_refuse(result,
                                   "there is no mailbox of this name here (#5.1.1)");
    case DOT_QMAIL_WRITABLE:
        return local_result_defer(result, "the .qmail file is writable (#4.7.0)");
    case DOT_QMAIL_ERROR:
        break;
    }
    return local_result_defer_errno(result, "open", file->name.len ? file->name.s : NULL,
                                    "4.3.0");
}

static bool
make_lines(struct local_plan *plan, const struct local_job *job,
           struct local_result *result)
{
    return local_lines_make(&plan->lines, job, (int64_t)time(NULL)) ||
           local_result_defer(result, "out of memory (#4.3.0)");
}

bool
local_plan_check_message(struct local_plan *plan, const struct local_job *job,
                         struct local_result *result)
{
    if (!make_lines(plan, job, result))
        return false;
    if (local_job_loops(job, &plan->lines))
        return local_result_refuse(
            result, "this mail loops: it already has this Delivered-To line (#5.4.6)");
    return true;
}

bool
local_plan_make(struct local_plan *plan, const struct local_job *job, bool rehearse,
                struct local_result *result)
{
    return open_home(plan, job->home, rehearse, result) &&
           (rehearse ? make_lines(plan, job, result)
                     : local_plan_check_message(plan, job, result)) &&
           find_instructions(plan, job, result);
}

void
local_plan_free(struct local_plan *plan)
{
    if (plan->home >= 0)
        close(plan->home);
    plan->home = -1;
    dot_qmail_free(&plan->file);
    local_lines_free(&plan->lines);
}
