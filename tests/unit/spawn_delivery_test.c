#include "spawn_delivery.h"

#include <errno.h>
#include <fcntl.h>

#include "testing.h"
#include "text.h"

static unsigned int warnings;

static void
count_warning(const char *text, const char *object)
{
    (void)text;
    (void)object;
    warnings++;
}

static const struct spawn_role role = {.name = "qmail-x", .warn = count_warning};

/* A spawner without its event loop; the other end of its descriptor 0 is ours. */
struct fixture {
    struct spawn spawn;
    struct handoff packet;
    int qmail_send;
    int stdin_before;
};

static int
set_up(void **state)
{
    static struct fixture fixture;
    int sockets[2];
    fixture = (struct fixture){.spawn = {.role = &role}};
    warnings = 0;
    fixture.stdin_before = fcntl(0, F_DUPFD_CLOEXEC, 3);
    if (!handoff_pair(sockets) || dup2(sockets[0], 0) < 0)
        return -1;
    close(sockets[0]);
    fixture.qmail_send = sockets[1];
    *state = &fixture;
    return fcntl(0, F_SETFL, O_NONBLOCK) + fcntl(sockets[1], F_SETFL, O_NONBLOCK);
}

static int
tear_down(void **state)
{
    struct fixture *fixture = *state;
    spawn_free(&fixture->spawn);
    handoff_free(&fixture->packet);
    close(fixture->qmail_send);
    if (fixture->stdin_before >= 0)
        dup2(fixture->stdin_before, 0);
    close(fixture->stdin_before);
    return 0;
}

/* A job of one recipient; null number: not even that was readable. */
static struct spawn_job *
make_job(const char *number, unsigned int recipients)
{
    struct spawn_job *job = calloc(1, sizeof *job);
    assert_non_null(job);
    job->message.fd = -1;
    job->number = number;
    job->recipient_count = recipients;
    return job;
}

static void
expect_report(struct fixture *fixture, const char *strings, size_t len)
{
    assert_int_equal(handoff_receive(fixture->qmail_send, &fixture->packet),
                     HANDOFF_DONE);
    assert_int_equal(fixture->packet.strings_len, len);
    assert_memory_equal(handoff_string(&fixture->packet, 0), strings, len);
}

static void
expect_silence(struct fixture *fixture)
{
    assert_int_equal(handoff_receive(fixture->qmail_send, &fixture->packet),
                     HANDOFF_WAIT);
}

static void
a_verdict_is_reported_for_each_recipient(void **state)
{
    static const char report[] = "report\0"
                                 "17\0"
                                 "Dno\0"
                                 "Dno\0"
                                 "Dno";
    struct fixture *fixture = *state;
    spawn_decide(&fixture->spawn, make_job("17", 3), "Dno");
    expect_report(fixture, report, sizeof report);
    expect_silence(fixture);
}

static void
a_failure_names_the_program(void **state)
{
    static const char report[] = "report\0"
                                 "1\0"
                                 "Zqmail-x broke";
    struct fixture *fixture = *state;
    spawn_decide_program(&fixture->spawn, make_job("1", 1), " broke");
    expect_report(fixture, report, sizeof report);
}

static void
nobody_is_told_about_a_job_without_a_number(void **state)
{
    struct fixture *fixture = *state;
    spawn_decide(&fixture->spawn, make_job(NULL, 0), "Zmangled");
    expect_silence(fixture);
    assert_int_equal(warnings, 1);
    assert_false(fixture->spawn.is_broken);
}

static void
reports_wait_in_order_while_qmail_send_is_slow(void **state)
{
    enum { REPORTS = 5000 };
    static char numbers[REPORTS][8];
    struct fixture *fixture = *state;
    for (int i = 0; i < REPORTS; i++) {
        snprintf(numbers[i], sizeof numbers[i], "%d", i);
        spawn_decide(&fixture->spawn, make_job(numbers[i], 1), "K");
    }
    assert_non_null(fixture->spawn.reports);
    for (int i = 0; i < REPORTS; i++) {
        enum handoff_status status =
            handoff_receive(fixture->qmail_send, &fixture->packet);
        if (status == HANDOFF_WAIT) {
            spawn_flush_reports(&fixture->spawn);
            status = handoff_receive(fixture->qmail_send, &fixture->packet);
        }
        assert_int_equal(status, HANDOFF_DONE);
        assert_string_equal(handoff_string(&fixture->packet, 1), numbers[i]);
    }
    assert_null(fixture->spawn.reports);
    assert_false(fixture->spawn.is_broken);
}

static void
the_end_of_qmail_send_is_noticed(void **state)
{
    struct fixture *fixture = *state;
    close(fixture->qmail_send);
    fixture->qmail_send = -1;
    spawn_decide(&fixture->spawn, make_job("1", 1), "K");
    assert_true(fixture->spawn.is_closed);
    assert_false(fixture->spawn.is_broken);
}

/* A delivery process with jobs 1, 2 and 3, the first of them sent. returns its end */
static int
add_session(struct fixture *fixture)
{
    static const char *const numbers[] = {"1", "2", "3"};
    int sockets[2];
    struct spawn_session *session = calloc(1, sizeof *session);
    assert_non_null(session);
    assert_true(handoff_pair(sockets));
    assert_int_equal(fcntl(sockets[0], F_SETFL, O_NONBLOCK), 0);
    session->socket = sockets[0];
    session->pid = 4711;
    session->in_order = true;
    fixture->spawn.sessions = session;
    for (int i = 0; i < 3; i++) {
        struct spawn_job *job = make_job(numbers[i], 1);
        assert_true(text_copy_bytes(&job->request, "job", 4));
        spawn_session_add(session, job);
    }
    assert_true(spawn_session_flush(session));
    return sockets[1];
}

static void
send_strings(int socket, const char *strings, size_t len)
{
    struct handoff_parts parts = {.strings = strings, .strings_len = len};
    assert_int_equal(handoff_send(socket, &parts), HANDOFF_DONE);
}

static void
a_report_ends_its_job(void **state)
{
    static const char report[] = "report\0"
                                 "1\0"
                                 "Kdone";
    struct fixture *fixture = *state;
    int process = add_session(fixture);
    send_strings(process, report, sizeof report);
    spawn_serve_session(&fixture->spawn, fixture->spawn.sessions);
    expect_report(fixture, report, sizeof report);
    assert_int_equal(fixture->spawn.sessions->job_count, 2);
    close(process);
}

static void
a_report_about_no_job_is_ignored(void **state)
{
    static const char stranger[] = "report\0"
                                   "9\0"
                                   "Kdone";
    static const char nonsense[] = "repent\0"
                                   "1\0"
                                   "Kdone";
    struct fixture *fixture = *state;
    int process = add_session(fixture);
    send_strings(process, stranger, sizeof stranger);
    send_strings(process, nonsense, sizeof nonsense);
    send_strings(process, "report", 7);
    spawn_serve_session(&fixture->spawn, fixture->spawn.sessions);
    expect_silence(fixture);
    assert_int_equal(warnings, 3);
    assert_int_equal(fixture->spawn.sessions->job_count, 3);
    close(process);
}

static void
a_mangled_report_becomes_a_temporary_failure(void **state)
{
    static const char mangled[] = "report\0"
                                  "1\0"
                                  "Xdone";
    static const char report[] = "report\0"
                                 "1\0"
                                 "Zqmail-x gave a mangled report (#4.3.0)\n";
    struct fixture *fixture = *state;
    int process = add_session(fixture);
    send_strings(process, mangled, sizeof mangled);
    spawn_serve_session(&fixture->spawn, fixture->spawn.sessions);
    expect_report(fixture, report, sizeof report);
    close(process);
}

static void
what_a_lost_process_cannot_have_begun_comes_first_again(void **state)
{
    static const char report[] = "report\0"
                                 "1\0"
                                 "Zqmail-x crashed (#4.3.0)\n";
    struct fixture *fixture = *state;
    struct spawn *spawn = &fixture->spawn;
    int process = add_session(fixture);
    spawn_line_append(&spawn->waiting, make_job("4", 1));
    close(process);
    spawn_bury(spawn, 4711, 9); /* killed */
    assert_string_equal(spawn->waiting.first->number, "2");
    assert_string_equal(spawn->waiting.first->next->number, "3");
    assert_string_equal(spawn->waiting.first->next->next->number, "4");
    expect_report(fixture, report, sizeof report);
    expect_silence(fixture);
}

static void
a_report_sent_before_the_end_still_counts(void **state)
{
    static const char report[] = "report\0"
                                 "1\0"
                                 "Kdone";
    static const char next[] = "report\0"
                               "2\0" /* which it may have begun then */
                               "Zqmail-x crashed (#4.3.0)\n";
    struct fixture *fixture = *state;
    int process = add_session(fixture);
    send_strings(process, report, sizeof report);
    close(process);
    spawn_bury(&fixture->spawn, 4711, 9);
    expect_report(fixture, report, sizeof report);
    expect_report(fixture, next, sizeof next);
    expect_silence(fixture);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_verdict_is_reported_for_each_recipient),
        TEST(a_failure_names_the_program),
        TEST(nobody_is_told_about_a_job_without_a_number),
        TEST(reports_wait_in_order_while_qmail_send_is_slow),
        TEST(the_end_of_qmail_send_is_noticed),
        TEST(a_report_ends_its_job),
        TEST(a_report_about_no_job_is_ignored),
        TEST(a_mangled_report_becomes_a_temporary_failure),
        TEST(what_a_lost_process_cannot_have_begun_comes_first_again),
        TEST(a_report_sent_before_the_end_still_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
