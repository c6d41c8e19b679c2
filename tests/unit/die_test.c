#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <unistd.h>

#include <sys/wait.h>

#include <skalibs/strerr.h>

#include "die.h"

/* Run action in a child; its standard error goes to said. returns its exit code */
static int
in_child(void (*action)(void), char *said, size_t size)
{
    int ends[2];
    int status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        action();
        _exit(0);
    }
    close(ends[1]);
    size_t len = 0;
    ssize_t got;
    while ((got = read(ends[0], said + len, size - 1 - len)) > 0)
        len += (size_t)got;
    said[len] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void
fail_for_now(void)
{
    PROG = "qmail-x";
    errno = EACCES;
    die_temp("open", "control/me");
}

static void
fail_for_good(void)
{
    PROG = "qmail-x";
    die_perm("no such thing");
}

static void
fail_until_later(void)
{
    PROG = "qmail-x";
    die_later("not today");
}

static void
misuse(void)
{
    PROG = "qmail-x";
    die_usage("qmail-x [-n] file");
}

static void
says_what_failed_and_why_and_exits_111(void **state)
{
    (void)state;
    char said[256];
    assert_int_equal(in_child(fail_for_now, said, sizeof said), 111);
    assert_string_equal(said,
                        "qmail-x: fatal: unable to open control/me: Permission denied\n");
}

static void
gives_the_reason_and_exits_100(void **state)
{
    (void)state;
    char said[256];
    assert_int_equal(in_child(fail_for_good, said, sizeof said), 100);
    assert_string_equal(said, "qmail-x: fatal: no such thing\n");
}

static void
gives_the_reason_and_exits_111(void **state)
{
    (void)state;
    char said[256];
    assert_int_equal(in_child(fail_until_later, said, sizeof said), 111);
    assert_string_equal(said, "qmail-x: fatal: not today\n");
}

static void
shows_the_synopsis_and_exits_100(void **state)
{
    (void)state;
    char said[256];
    assert_int_equal(in_child(misuse, said, sizeof said), 100);
    assert_string_equal(said, "qmail-x: usage: qmail-x [-n] file\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_failed_and_why_and_exits_111),
        cmocka_unit_test(gives_the_reason_and_exits_100),
        cmocka_unit_test(gives_the_reason_and_exits_111),
        cmocka_unit_test(shows_the_synopsis_and_exits_100),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
