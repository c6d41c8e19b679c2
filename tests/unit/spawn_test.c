#include "spawn.h"

#include <errno.h>
#include <poll.h>

#include <sys/wait.h>

#include "handoff.h"
#include "testing.h"
#include "text.h"

/* The spawner runs in a child; we are qmail-send. The delivery program is this program
 * itself, copied to bin/deliver of a temporary home: it reports its process id,
 * or dies for "die". */

enum { PATIENCE_MS = 60000 };

static int
be_delivery_process(void)
{
    struct handoff packet = {0};
    stralloc report = STRALLOC_ZERO;
    while (handoff_receive(0, &packet) == HANDOFF_DONE) {
        const char *number = handoff_string(&packet, 1);
        const char *recipient = handoff_string(&packet, 2);
        if (!number || !recipient || strcmp(recipient, "die") == 0)
            _exit(1); /* without the leak check */
        report.len = 0;
        if (!text_append_string(&report, "report") ||
            !text_append_string(&report, number) || !text_append(&report, "K") ||
            !text_append_number_string(&report, (uint64_t)getpid()))
            _exit(1);
        struct handoff_parts parts = {.strings = report.s, .strings_len = report.len};
        handoff_send(0, &parts);
    }
    handoff_free(&packet);
    stralloc_free(&report);
    return 0;
}

static bool
fill_in(struct spawn_job *job)
{
    job->request.len = 0;
    job->identity = (struct account){.uid = 65534, .gid = 65534};
    return text_copy(&job->key, job->host) && text_append_string(&job->request, "job") &&
           text_append_string(&job->request, job->number) &&
           text_append_string(&job->request, job->recipients);
}

/* "decided" needs no process, and "later" is asked for twice. */
static enum spawn_answer
prepare(void *context, struct spawn_job *job)
{
    (void)context;
    if (strcmp(job->recipients, "later") == 0)
        return SPAWN_WAITS;
    job->verdict = "Ddecided";
    return strcmp(job->recipients, "decided") == 0 || !fill_in(job) ? SPAWN_DECIDED
                                                                    : SPAWN_READY;
}

static enum spawn_answer
collect(void *context, struct spawn_job *job)
{
    unsigned int *asked = context;
    if ((*asked)++ == 0)
        return SPAWN_WAITS;
    return fill_in(job) ? SPAWN_READY : SPAWN_WAITS;
}

static int
wait_socket(void *context)
{
    (void)context;
    return -1; /* the spawner asks every second */
}

static void
warn(const char *text, const char *object)
{
    (void)text;
    (void)object;
}

struct fixture {
    pid_t spawner;
    int socket;
    struct handoff packet;
};

static int
start(struct fixture *fixture, const char *program)
{
    int sockets[2];
    if (!handoff_pair(sockets))
        return -1;
    fixture->socket = sockets[1];
    fixture->spawner = fork();
    if (fixture->spawner == 0) {
        unsigned int asked = 0;
        const struct spawn_role role = {
            .name = "deliver",
            .program = program,
            .limits = {.per_key = 1, .total = 10, .ahead = 10, .idle_s = 3600},
            .context = &asked,
            .prepare = prepare,
            .collect = collect,
            .wait_socket = wait_socket,
            .warn = warn,
        };
        dup2(sockets[0], 0);
        _exit(spawn_run(&role) ? 0 : 1);
    }
    close(sockets[0]);
    return fixture->spawner > 0 ? 0 : -1;
}

static int
set_up(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){.socket = -1};
    *state = &fixture;
    return start(&fixture, "bin/deliver");
}

/* qmail-send goes; the spawner follows. */
static int
tear_down(void **state)
{
    struct fixture *fixture = *state;
    int status;
    handoff_free(&fixture->packet);
    close(fixture->socket);
    return waitpid(fixture->spawner, &status, 0) == fixture->spawner && status == 0 ? 0
                                                                                    : -1;
}

static void
send_job(struct fixture *fixture, unsigned int number, const char *host,
         const char *recipient)
{
    stralloc strings = STRALLOC_ZERO;
    assert_true(
        text_append_string(&strings, "job") &&
        text_append_number_string(&strings, number) &&
        text_append_string(&strings, "1795171154000000") &&
        text_append_string(&strings, "4") && text_append_string(&strings, "s@x") &&
        text_append_string(&strings, host) && text_append_string(&strings, host) &&
        text_append_string(&strings, recipient));
    struct handoff_parts parts = {
        .strings = strings.s, .strings_len = strings.len, .body = "text", .body_len = 4};
    assert_int_equal(handoff_send(fixture->socket, &parts), HANDOFF_DONE);
    stralloc_free(&strings);
}

/* Wait for the next report. returns the first recipient's, and its number in *number */
static const char *
next_report(struct fixture *fixture, unsigned int *number)
{
    struct pollfd entry = {.fd = fixture->socket, .events = POLLIN};
    assert_int_equal(poll(&entry, 1, PATIENCE_MS), 1);
    assert_int_equal(handoff_receive(fixture->socket, &fixture->packet), HANDOFF_DONE);
    assert_string_equal(handoff_string(&fixture->packet, 0), "report");
    *number = (unsigned int)strtoul(handoff_string(&fixture->packet, 1), NULL, 10);
    return handoff_string(&fixture->packet, 2);
}

static void
expect_report(struct fixture *fixture, unsigned int number, const char *text)
{
    unsigned int got;
    assert_string_equal(next_report(fixture, &got), text);
    assert_int_equal(got, number);
}

/* Deliver one job. returns the process that did it */
static unsigned long
deliverer(struct fixture *fixture, unsigned int number, const char *host)
{
    unsigned int got;
    send_job(fixture, number, host, "r");
    const char *text = next_report(fixture, &got);
    assert_int_equal(got, number);
    assert_int_equal(text[0], 'K');
    return strtoul(text + 1, NULL, 10);
}

static void
jobs_of_one_key_go_to_one_living_process(void **state)
{
    unsigned long first = deliverer(*state, 1, "one.example");
    assert_int_equal(deliverer(*state, 2, "one.example"), first);
    unsigned long other = deliverer(*state, 3, "two.example");
    assert_int_not_equal(other, first);
    assert_int_equal(deliverer(*state, 4, "one.example"), first);
    assert_int_equal(deliverer(*state, 5, "two.example"), other);
}

static void
what_is_decided_needs_no_process(void **state)
{
    send_job(*state, 7, "one.example", "decided");
    expect_report(*state, 7, "Ddecided");
}

static void
an_answer_that_comes_later_is_collected(void **state)
{
    unsigned int number;
    send_job(*state, 1, "one.example", "later");
    assert_int_equal(deliverer(*state, 2, "one.example") > 0, 1); /* it holds up nobody */
    assert_int_equal(next_report(*state, &number)[0], 'K');
    assert_int_equal(number, 1);
}

static void
a_process_that_dies_is_replaced_for_the_next_job(void **state)
{
    unsigned long before = deliverer(*state, 1, "one.example");
    send_job(*state, 2, "one.example", "die");
    expect_report(*state, 2, "Zdeliver ended without a report (#4.3.0)\n");
    assert_int_not_equal(deliverer(*state, 3, "one.example"), before);
}

static void
a_mangled_packet_harms_nobody(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(write(fixture->socket, "\377\377\377\377nonsense", 12), 12);
    assert_true(deliverer(fixture, 1, "one.example") > 0);
}

static void
a_program_that_is_not_there_is_a_temporary_failure(void **state)
{
    struct fixture fixture = {.socket = -1};
    void *context = &fixture;
    (void)state;
    assert_int_equal(start(&fixture, "bin/missing"), 0);
    send_job(&fixture, 1, "one.example", "r");
    expect_report(&fixture, 1, "Zdeliver cannot be started (#4.3.0)\n");
    assert_int_equal(tear_down(&context), 0);
}

static void
limits_come_from_control_and_stay_within_reason(void **state)
{
    struct spawn_limits limits = {.total = 400, .idle_s = 5};
    (void)state;
    assert_true(spawn_read_limits(&limits));
    assert_int_equal(limits.total, 400);
    assert_int_equal(limits.idle_s, 5);
    write_file("control/sessions", "0\n");
    write_file("control/sessionidle", "0\n");
    assert_true(spawn_read_limits(&limits));
    assert_int_equal(limits.total, 1); /* none at all could deliver nothing */
    assert_int_equal(limits.idle_s, 0);
    write_file("control/sessions", "99999999999\n");
    write_file("control/sessionidle", "99999999999\n");
    assert_true(spawn_read_limits(&limits));
    assert_int_equal(limits.total, 100000);
    assert_int_equal(limits.idle_s, 24 * 3600);
    write_file("control/sessions", "many\n");
    assert_false(spawn_read_limits(&limits));
    assert_int_equal(errno, EINVAL);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(jobs_of_one_key_go_to_one_living_process, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_decided_needs_no_process, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_answer_that_comes_later_is_collected, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_process_that_dies_is_replaced_for_the_next_job,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_mangled_packet_harms_nobody, set_up, tear_down),
        cmocka_unit_test(a_program_that_is_not_there_is_a_temporary_failure),
        cmocka_unit_test(limits_come_from_control_and_stay_within_reason),
    };
    char command[512];
    char program[400];
    if (argc == 2 && strcmp(argv[1], "-S") == 0)
        return be_delivery_process();
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
    if (len < 0 || enter_home(NULL) < 0)
        return 1;
    program[len] = '\0';
    snprintf(command, sizeof command,
             "chmod 755 . && mkdir bin && cp '%s' bin/deliver && chmod 755 bin/deliver",
             program);
    if (system(command) != 0)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return leave_folder(NULL) != 0 || failed;
}
