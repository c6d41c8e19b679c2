#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "received.h"

static void
assert_line(const struct received *received, const char *expected)
{
    stralloc line = STRALLOC_ZERO;
    assert_true(received_append(&line, received, 1795173341));
    assert_string_equal(line.s, expected);
    stralloc_free(&line);
}

static void
has_the_shape_that_qmail_gave_it(void **state)
{
    struct received received = {
        .remote_host = "client.example",
        .remote_ip = "192.0.2.1",
        .remote_info = "joe",
        .helo = "other",
        .local = "mx.example",
        .protocol = "SMTP",
    };
    (void)state;
    assert_line(&received, "Received: from client.example (HELO other) (joe@192.0.2.1)\n"
                           "  by mx.example with SMTP; 20 Nov 2026 11:15:41 -0000\n");
    received.helo = "CLIENT.example";
    received.remote_info = NULL;
    received.protocol = "ESMTPSA";
    assert_line(&received, "Received: from client.example (192.0.2.1)\n"
                           "  by mx.example with ESMTPSA; 20 Nov 2026 11:15:41 -0000\n");
    received.helo = NULL;
    received.remote_ip = "2001:db8::1";
    assert_line(&received, "Received: from client.example (2001:db8::1)\n"
                           "  by mx.example with ESMTPSA; 20 Nov 2026 11:15:41 -0000\n");
}

static void
turns_unsafe_bytes_into_question_marks(void **state)
{
    const struct received received = {
        .remote_host = "unknown",
        .remote_ip = "192.0.2.1",
        .remote_info = "a b",
        .helo = "[IPv6:::1] ;(\n\"\xff_",
        .local = "a_b",
        .protocol = "ESMTP",
    };
    (void)state;
    assert_line(&received,
                "Received: from unknown (HELO [IPv6:::1]????\?\?\?) (a?b@192.0.2.1)\n"
                "  by a?b with ESMTP; 20 Nov 2026 11:15:41 -0000\n");
}

static void
keeps_its_lines_below_998_bytes(void **state)
{
    char name[5000];
    stralloc line = STRALLOC_ZERO;
    (void)state;
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    const struct received received = {.remote_host = name,
                                      .remote_ip = name,
                                      .remote_info = name,
                                      .helo = "y",
                                      .local = name,
                                      .protocol = "ESMTP"};
    assert_true(received_append(&line, &received, 0));
    assert_true(strcspn(line.s, "\n") < 998);
    stralloc_free(&line);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_the_shape_that_qmail_gave_it),
        cmocka_unit_test(turns_unsafe_bytes_into_question_marks),
        cmocka_unit_test(keeps_its_lines_below_998_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
