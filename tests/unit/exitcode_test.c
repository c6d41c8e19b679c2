#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exitcode.h"

/* A wait status as the kernel makes it. */
static enum exitcode_outcome
exited(int code)
{
    return exitcode_of_program(code << 8);
}

static void
a_program_tells_by_its_exit_code(void **state)
{
    (void)state;
    static const int permanent[] = {100, 64, 65, 70, 76, 77, 78, 112};
    static const int temporary[] = {1, 2, 63, 66, 75, 98, 101, 111, 126, 127, 255};
    assert_int_equal(exited(0), OUTCOME_SUCCESS);
    assert_int_equal(exited(99), OUTCOME_STOP);
    for (size_t i = 0; i < sizeof permanent / sizeof *permanent; i++)
        assert_int_equal(exited(permanent[i]), OUTCOME_PERMANENT);
    for (size_t i = 0; i < sizeof temporary / sizeof *temporary; i++)
        assert_int_equal(exited(temporary[i]), OUTCOME_TEMPORARY);
}

static void
death_by_a_signal_is_temporary(void **state)
{
    (void)state;
    assert_int_equal(exitcode_of_program(9), OUTCOME_TEMPORARY);
    assert_int_equal(exitcode_of_program(0x80 | 11), OUTCOME_TEMPORARY);
}

static void
queue_codes_from_11_to_40_are_permanent(void **state)
{
    (void)state;
    for (unsigned int code = 0; code < 256; code++)
        assert_int_equal(exitcode_queue_is_permanent(code), code >= 11 && code <= 40);
}

static void
every_queue_code_has_words_and_a_fitting_status(void **state)
{
    (void)state;
    for (unsigned int code = 1; code < 256; code++) {
        const char *status = exitcode_queue_status(code);
        const char *text = exitcode_queue_text(code);
        char ending[16];
        snprintf(ending, sizeof ending, "(#%s)", status);
        assert_non_null(strstr(text, ending));
        if (code != 115) /* a caller's code, treated like 11 */
            assert_int_equal(status[0], exitcode_queue_is_permanent(code) ? '5' : '4');
    }
}

static void
callers_attach_the_codes_of_qmail(void **state)
{
    (void)state;
    static const struct {
        unsigned int code;
        const char *status;
    } known[] = {{11, "5.1.3"}, {115, "5.1.3"}, {31, "5.3.0"},  {12, "5.3.0"},
                 {51, "4.3.0"}, {56, "4.3.0"},  {61, "4.3.0"},  {66, "4.3.0"},
                 {71, "4.3.0"}, {72, "4.4.1"},  {73, "4.4.1"},  {74, "4.4.2"},
                 {81, "4.3.0"}, {91, "4.3.0"},  {120, "4.3.0"}, {200, "4.3.0"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        assert_string_equal(exitcode_queue_status(known[i].code), known[i].status);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_tells_by_its_exit_code),
        cmocka_unit_test(death_by_a_signal_is_temporary),
        cmocka_unit_test(queue_codes_from_11_to_40_are_permanent),
        cmocka_unit_test(every_queue_code_has_words_and_a_fitting_status),
        cmocka_unit_test(callers_attach_the_codes_of_qmail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
