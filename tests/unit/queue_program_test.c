#include "queue_program.h"

#include <fcntl.h>

#include "exitcode.h"
#include "testing.h"

enum { DEADLINE_S = 60 };

static void
make_program(const char *body)
{
    FILE *file = fopen("program", "w");
    assert_non_null(file);
    assert_true(fprintf(file, "#!/bin/sh\n%s\n", body) > 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod("program", 0755), 0);
}

/* Run body as the program, with so many bytes of message; the envelope is "Fa", "Tb". */
static unsigned int
run(const char *body, size_t message_len, unsigned int deadline_s, stralloc *text)
{
    struct spool spool = {.fd = -1};
    uint64_t pid = 0;

    make_program(body);
    for (size_t i = 0; i < message_len; i++)
        assert_true(spool_put(&spool, "m", 1));
    assert_true(spool_put(&spool, "Fa\0Tb\0", 7) && spool_finish(&spool));
    unsigned int code =
        queue_program_run("./program", &spool, message_len, deadline_s, text, &pid);
    assert_true(pid > 0);
    spool_free(&spool);
    return code;
}

static unsigned int
run_usual(const char *body)
{
    stralloc text = STRALLOC_ZERO;
    unsigned int code = run(body, 10, DEADLINE_S, &text);
    assert_int_equal(text.len, 0);
    stralloc_free(&text);
    return code;
}

static off_t
size_of(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_size;
}

static void
gives_message_on_0_and_envelope_on_1(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 10, 49152, 200000};
    stralloc text = STRALLOC_ZERO;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        assert_int_equal(
            run("cat >message; exec cat <&1 >envelope", lengths[i], DEADLINE_S, &text),
            QUEUE_OK);
        assert_int_equal(size_of("message"), lengths[i]);
        assert_int_equal(size_of("envelope"), 7);
    }
    stralloc_free(&text);
}

static void
tells_the_exit_code(void **state)
{
    (void)state;
    assert_int_equal(run_usual("exit 31"), 31);
    assert_int_equal(run_usual("exit 91"), 91);
    assert_int_equal(run_usual("cat >/dev/null; exit 0"), 0);
}

static void
a_program_that_reads_nothing_of_much_decides_all_the_same(void **state)
{
    (void)state;
    stralloc text = STRALLOC_ZERO;
    assert_int_equal(run("exit 71", 300000, DEADLINE_S, &text), 71);
    stralloc_free(&text);
}

static void
keeps_255_bytes_of_descriptor_6(void **state)
{
    (void)state;
    stralloc text = STRALLOC_ZERO;
    assert_int_equal(run("printf Dno >&6; exit 82", 10, DEADLINE_S, &text), 82);
    assert_int_equal(text.len, 3);
    assert_memory_equal(text.s, "Dno", 3);
    assert_int_equal(run("printf %0600d 1 >&6; exit 82", 10, DEADLINE_S, &text), 82);
    assert_int_equal(text.len, 255);
    stralloc_free(&text);
}

static void
a_signal_is_a_bug_and_a_missing_program_cannot_be_started(void **state)
{
    (void)state;
    struct spool spool = {.fd = -1};
    stralloc text = STRALLOC_ZERO;
    uint64_t pid;
    assert_int_equal(run_usual("kill -9 $$"), QUEUE_BUG);
    assert_true(spool_put(&spool, "F\0\0", 3) && spool_finish(&spool));
    assert_int_equal(queue_program_run("./absent", &spool, 0, DEADLINE_S, &text, &pid),
                     QUEUE_EXEC_FAILED);
    spool_free(&spool);
    stralloc_free(&text);
}

static void
a_program_beyond_its_deadline_is_ended(void **state)
{
    (void)state;
    stralloc text = STRALLOC_ZERO;
    assert_int_equal(run("exec sleep 600", 10, 1, &text), QUEUE_TIMEOUT);
    assert_int_equal(run("exec sleep 600", 300000, 1, &text), QUEUE_TIMEOUT);
    stralloc_free(&text);
}

static void
the_program_has_no_other_descriptors(void **state)
{
    (void)state;
    stralloc text = STRALLOC_ZERO;
    for (int fd = 3; fd < 256; fd++) /* what the test itself was started with */
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    assert_int_equal(
        run("cat >/dev/null; exec ls /proc/self/fd >&6", 10, DEADLINE_S, &text), 0);
    assert_string_equal(text.s, "0\n1\n2\n3\n6\n"); /* 3 is how ls looks at them */
    stralloc_free(&text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_message_on_0_and_envelope_on_1),
        cmocka_unit_test(tells_the_exit_code),
        cmocka_unit_test(a_program_that_reads_nothing_of_much_decides_all_the_same),
        cmocka_unit_test(keeps_255_bytes_of_descriptor_6),
        cmocka_unit_test(a_signal_is_a_bug_and_a_missing_program_cannot_be_started),
        cmocka_unit_test(a_program_beyond_its_deadline_is_ended),
        cmocka_unit_test(the_program_has_no_other_descriptors),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
