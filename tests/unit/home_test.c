#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "home.h"

static void
the_environment_chooses_the_home(void **state)
{
    (void)state;
    char here[PATH_MAX];
    assert_int_equal(setenv("QMAILHOME", "/", 1), 0);
    assert_string_equal(home_path(), "/");
    assert_true(home_enter());
    assert_non_null(getcwd(here, sizeof here));
    assert_string_equal(here, "/");
}

static void
an_empty_variable_does_not_count(void **state)
{
    (void)state;
    assert_int_equal(setenv("QMAILHOME", "", 1), 0);
    const char *otherwise = home_path();
    assert_int_equal(unsetenv("QMAILHOME"), 0);
    assert_string_equal(home_path(), otherwise);
    assert_int_equal(otherwise[0], '/');
}

static void
a_missing_home_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(setenv("QMAILHOME", "/nonexistent/home", 1), 0);
    assert_false(home_enter());
    assert_int_equal(errno, ENOENT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_environment_chooses_the_home),
        cmocka_unit_test(an_empty_variable_does_not_count),
        cmocka_unit_test(a_missing_home_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
