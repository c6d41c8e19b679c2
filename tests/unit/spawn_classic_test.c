#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/wait.h>

#include "spawn_classic.h"
#include "spawn_job.h"
#include "spawn_report.h"
#include "text.h"

/* sh as the delivery program: each recipient is a script. */
static const struct spawn_role role = {
    .name = "qmail-remote",
    .classic = "/bin/sh",
    .classic_first = "-c",
    .classic_shared = 0,
    .classic_recipient = true,
    .classic_report = spawn_report_append_remote,
};

static struct spawn_job *
make_job(const char *recipients, size_t len)
{
    struct account nobody = {.uid = 65534, .gid = 65534};
    struct spawn_job *job = calloc(1, sizeof *job);
    assert_non_null(job);
    job->message.fd = -1;
    job->message.bytes = "text";
    job->message.len = 4;
    job->identity = nobody;
    assert_true(text_copy_bytes(&job->strings, recipients, len));
    job->recipients = job->strings.s;
    for (size_t i = 0; i < len; i++)
        job->recipient_count += recipients[i] == '\0';
    return job;
}

/* Run a job to its end; the report strings are put into *out. */
static void
run(struct spawn_job *job, stralloc *out)
{
    int status;
    struct spawn_classic *classic = spawn_classic_new(job);
    assert_non_null(classic);
    assert_true(spawn_classic_begin(classic, &role));
    while (spawn_classic_report(classic, out) == 0) {
        pid_t pid = wait(&status);
        assert_true(pid > 0);
        assert_int_equal(spawn_classic_reap(classic, &role, pid, status), 1);
        assert_true(spawn_classic_begin(classic, &role));
    }
    assert_int_equal(spawn_classic_reap(classic, &role, 1, 0), 0);
    spawn_classic_free(classic);
}

static void
each_recipient_has_its_own_run_and_report(void **state)
{
    static const char recipients[] = "printf 'r\\0K'; cat; printf '\\0'\0"
                                     "printf 'hno\\0D\\0'\0"
                                     "exit 111\0"
                                     "kill -9 $$";
    stralloc out = STRALLOC_ZERO;
    (void)state;
    run(make_job(recipients, sizeof recipients), &out);
    static const char expected[] = "Ktext\0Dno\0"
                                   "Zqmail-remote cannot be run now (#4.3.0)\n\0"
                                   "Zqmail-remote crashed (#4.3.0)\n";
    assert_int_equal(out.len, sizeof expected);
    assert_memory_equal(out.s, expected, sizeof expected);
    stralloc_free(&out);
}

static void
more_recipients_than_run_at_once_are_all_done(void **state)
{
    enum { COUNT = 3 * SPAWN_CLASSIC_PARALLEL + 1 };
    stralloc recipients = STRALLOC_ZERO;
    stralloc out = STRALLOC_ZERO;
    (void)state;
    for (int i = 0; i < COUNT; i++)
        assert_true(text_append(&recipients, "printf 'r\\0Kx\\0'") &&
                    stralloc_0(&recipients));
    run(make_job(recipients.s, recipients.len), &out);
    assert_int_equal(out.len, 3 * COUNT);
    stralloc_free(&recipients);
    stralloc_free(&out);
}

static void
a_job_can_be_given_up_while_it_runs(void **state)
{
    int status;
    static const char recipients[] = "sleep 1000";
    struct spawn_classic *classic = spawn_classic_new(make_job(recipients, 11));
    (void)state;
    assert_true(spawn_classic_begin(classic, &role));
    usleep(100000); /* until it is the leader of its group */
    spawn_classic_kill(classic);
    assert_true(wait(&status) > 0 && WIFSIGNALED(status));
    spawn_classic_free(classic);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_recipient_has_its_own_run_and_report),
        cmocka_unit_test(more_recipients_than_run_at_once_are_all_done),
        cmocka_unit_test(a_job_can_be_given_up_while_it_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
