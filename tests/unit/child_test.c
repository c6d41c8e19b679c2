#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include <sys/wait.h>

#include "testing.h"

enum { OUTPUT_MAX = 4096 };

/* Run the plan with text as its input. output: what it wrote on both descriptors.
 * returns its wait status */
static int
run(struct child_plan plan, const char *text, char *output)
{
    int input[2];
    int ends[2];
    int status;
    size_t len = 0;
    ssize_t got;

    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    plan.input = input[0];
    plan.output = ends[1];
    pid_t pid = child_start(&plan);
    assert_true(pid > 0);
    close(input[0]);
    close(ends[1]);
    assert_int_equal(write(input[1], text, strlen(text)), (ssize_t)strlen(text));
    close(input[1]);
    while ((got = read(ends[0], output + len, OUTPUT_MAX - 1 - len)) > 0)
        len += (size_t)got;
    output[len] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static int
run_script(const char *script, const char *text, char *output)
{
    const char *const arguments[] = {"sh", "-c", script, NULL};
    return run((struct child_plan){.arguments = arguments}, text, output);
}

static int
exit_code_of(const char *program)
{
    const char *const arguments[] = {program, NULL};
    char output[OUTPUT_MAX];
    int status = run((struct child_plan){.arguments = arguments}, "", output);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void
the_program_gets_input_and_both_outputs(void **state)
{
    char output[OUTPUT_MAX];
    (void)state;
    assert_int_equal(run_script("cat; echo log >&2", "in ", output), 0);
    assert_string_equal(output, "in log\n");
}

static void
the_program_gets_no_other_descriptor(void **state)
{
    const char *const arguments[] = {"ls", "/proc/self/fd", NULL};
    char output[OUTPUT_MAX];
    (void)state;
    /* what the test program itself was started with is not ours */
    assert_int_equal(close_range(3, ~0U, CLOSE_RANGE_CLOEXEC), 0);
    assert_int_equal(run((struct child_plan){.arguments = arguments}, "", output), 0);
    assert_string_equal(output, "0\n1\n2\n3\n"); /* 3 is what ls reads */
}

static void
without_an_output_the_log_takes_both(void **state)
{
    const char *const arguments[] = {"sh", "-c", "echo one; echo two >&2", NULL};
    char output[16] = "";
    int log[2];
    (void)state;
    assert_int_equal(pipe2(log, O_CLOEXEC), 0);
    int kept = fcntl(2, F_DUPFD_CLOEXEC, 3);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(dup2(log[1], 2), 2);
    pid_t pid = child_start(
        &(struct child_plan){.arguments = arguments, .input = null, .output = -1});
    assert_int_equal(dup2(kept, 2), 2);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(read(log[0], output, sizeof output - 1), 8);
    assert_string_equal(output, "one\ntwo\n");
    close(kept);
    close(null);
    close(log[0]);
    close(log[1]);
}

static void
the_environment_is_reduced_and_the_home_named(void **state)
{
    char output[OUTPUT_MAX];
    char expected[OUTPUT_MAX];
    char home[64];
    (void)state;
    assert_int_equal(setenv("SECRET", "root's", 1), 0);
    assert_int_equal(setenv("TZ", "UTC", 1), 0);
    assert_int_equal(setenv("PATHS", "no PATH", 1), 0);
    assert_int_equal(setenv("QMAILHOME", "./elsewhere", 1), 0);
    assert_int_equal(setenv("QMAILQUEUE", "bin/filter", 1), 0);
    assert_non_null(getcwd(home, sizeof home));
    const char *const arguments[] = {"env", NULL};
    assert_int_equal(run((struct child_plan){.arguments = arguments}, "", output), 0);
    snprintf(expected, sizeof expected,
             "PATH=%s\nQMAILQUEUE=bin/filter\nTZ=UTC\nQMAILHOME=%s\n", getenv("PATH"),
             home);
    assert_string_equal(output, expected);
    assert_int_equal(
        run((struct child_plan){.arguments = arguments, .whole_environment = true}, "",
            output),
        0);
    assert_non_null(strstr(output, "SECRET=root's\n"));
    assert_null(strstr(output, "elsewhere"));
}

static void
signals_are_as_a_program_expects_them(void **state)
{
    const char *const arguments[] = {"grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status",
                                     NULL};
    char output[OUTPUT_MAX];
    unsigned long blocked;
    unsigned long ignored;
    sigset_t all;
    sigset_t before;
    (void)state;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    signal(SIGPIPE, SIG_IGN);
    int status = run((struct child_plan){.arguments = arguments}, "", output);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    assert_int_equal(status, 0);
    assert_int_equal(sscanf(output, "SigBlk: %lx SigIgn: %lx", &blocked, &ignored), 2);
    assert_int_equal(blocked, 0);
    assert_int_equal(ignored & (1UL << (SIGPIPE - 1)), 0);
}

static void
the_program_leads_a_process_group(void **state)
{
    char output[OUTPUT_MAX];
    (void)state;
    int status = run_script("kill -s KILL -- -$$", "", output);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void
exit_codes_tell_why_a_program_was_not_started(void **state)
{
    (void)state;
    write_file("no-program", "this is no program\n");
    assert_int_equal(exit_code_of("./missing"), CHILD_EXEC_HARD);
    assert_int_equal(exit_code_of("./no-program"), CHILD_EXEC_HARD);
    assert_int_equal(exit_code_of("."), CHILD_EXEC_HARD);
    assert_int_equal(symlink("loop", "loop"), 0);
    assert_int_equal(exit_code_of("./loop"), CHILD_EXEC_HARD);
}

static void
the_program_runs_as_the_identity_and_never_as_root(void **state)
{
    const char *const arguments[] = {"sh", "-c", "id -u; id -G", NULL};
    const struct account nobody = {.uid = 65534, .gid = 65533};
    const struct account root = {.uid = 0, .gid = 65533};
    char output[OUTPUT_MAX];
    (void)state;
    if (account_is_single_user())
        skip();
    struct child_plan plan = {.arguments = arguments, .identity = &nobody};
    assert_int_equal(run(plan, "", output), 0);
    assert_string_equal(output, "65534\n65533\n");
    plan.identity = &root;
    int status = run(plan, "", output);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), CHILD_ROOT);
    assert_string_equal(output, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_program_gets_input_and_both_outputs),
        cmocka_unit_test(the_program_gets_no_other_descriptor),
        cmocka_unit_test(without_an_output_the_log_takes_both),
        cmocka_unit_test(the_environment_is_reduced_and_the_home_named),
        cmocka_unit_test(signals_are_as_a_program_expects_them),
        cmocka_unit_test(the_program_leads_a_process_group),
        cmocka_unit_test(exit_codes_tell_why_a_program_was_not_started),
        cmocka_unit_test(the_program_runs_as_the_identity_and_never_as_root),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
