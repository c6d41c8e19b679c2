#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>

#include "handoff.h"
#include "testing.h"
#include "testing_table.h"
#include "text.h"
#include "user_directory.h"

/* These run as root, whose answers are not bent to one user. The helper is this program
 * itself, copied to bin/qmail-getpw of a temporary home. */

static bool is_poll_broken;

int
poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    const struct timespec limit = {.tv_sec = timeout_ms / 1000,
                                   .tv_nsec = timeout_ms % 1000 * 1000000};
    if (!is_poll_broken)
        return ppoll(fds, count, timeout_ms < 0 ? NULL : &limit, NULL);
    errno = ENOMEM;
    return -1;
}

static int
set_up(void **state)
{
    static struct user_directory directory;
    static const struct record records[] = {
        RECORD("", ""),
        RECORD("!joe\0", "joe\0"
                         "7001\0"
                         "7002\0"
                         "/home/joe\0"
                         "\0"
                         ""),
        RECORD("!bad\0", "bad\0"
                         "7001"),
    };
    if (geteuid() != 0)
        return 0;
    make_table("users/cdb", records, sizeof records / sizeof *records);
    user_directory_init(&directory);
    *state = &directory;
    return 0;
}

static int
tear_down(void **state)
{
    if (*state)
        user_directory_free(*state);
    return 0;
}

/* A helper that is not there; *end is its end of the socket, which takes nothing more. */
static void
replace_helper(struct user_directory *directory, int *end)
{
    int ends[2];
    const struct handoff_parts junk = {.strings = "x", .strings_len = 2};

    assert_true(handoff_pair(ends));
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    while (handoff_send(ends[0], &junk) == HANDOFF_DONE)
        ;
    directory->helper_socket = ends[0];
    *end = ends[1];
}

/* The uid found, or 0. */
static uid_t
uid_of(struct user_directory *directory, const char *local, struct user *user)
{
    return user_directory_find(directory, local, user) == USER_FOUND ? user->uid : 0;
}

static void
the_table_is_asked_before_the_helper(void **state)
{
    struct user user = {0};
    if (!*state)
        skip();
    assert_int_equal(uid_of(*state, "joe", &user), 7001);
    assert_string_equal(user.name, "joe");
    assert_int_equal(user_directory_find(*state, "bad", &user), USER_ERROR);
    assert_int_equal(errno, EPROTO);
    user_free(&user);
}

static void
a_new_table_is_seen_at_once(void **state)
{
    struct user user = {0};
    if (!*state)
        skip();
    assert_int_equal(uid_of(*state, "joe", &user), 7001);
    static const struct record records[] = {RECORD("", ""), RECORD("!", "all\0"
                                                                        "7009\0"
                                                                        "7009\0"
                                                                        "/all\0"
                                                                        "-\0"
                                                                        "")};
    make_table("users/cdb", records, 2);
    assert_int_equal(uid_of(*state, "joe", &user), 7009);
    assert_string_equal(user.ext,
                        "joe"); /* the empty prefix is tried without a last byte */
    user_free(&user);
}

static void
the_helper_answers_what_the_table_does_not(void **state)
{
    struct user user = {0};
    if (!*state)
        skip();
    assert_int_equal(uid_of(*state, "stranger", &user), 8001);
    assert_string_equal(user.ext, "stranger");
    assert_int_equal(user_directory_find(*state, "error", &user), USER_ERROR);
    assert_int_equal(unlink("users/cdb"), 0);
    assert_int_equal(uid_of(*state, "joe", &user), 8001);
    user_free(&user);
}

static void
a_helper_that_dies_is_started_again_and_asked_again(void **state)
{
    struct user user = {0};
    struct user_directory *directory = *state;
    if (!*state)
        skip();
    assert_int_equal(uid_of(directory, "stranger", &user), 8001);
    pid_t before = directory->helper_pid;
    assert_int_equal(uid_of(directory, "die-once", &user), 8001);
    assert_int_not_equal(directory->helper_pid, before);
    assert_int_equal(user_directory_find(directory, "die", &user), USER_ERROR);
    assert_int_equal(errno, EIO);
    assert_int_equal(uid_of(directory, "stranger", &user), 8001);
    user_free(&user);
}

static void
an_answer_that_nobody_waited_for_is_not_taken_for_another(void **state)
{
    struct user user = {0};
    struct user_directory *directory = *state;
    if (!*state)
        skip();
    is_poll_broken = true;
    assert_int_equal(user_directory_find(directory, "first", &user), USER_ERROR);
    assert_int_equal(errno, ENOMEM);
    is_poll_broken = false;
    assert_int_equal(uid_of(directory, "second", &user), 8001);
    assert_string_equal(user.ext, "second");
    user_free(&user);
}

static void
a_question_for_which_there_was_no_room_is_asked_later(void **state)
{
    struct user user = {0};
    struct user_directory *directory = *state;
    struct handoff packet = {.fd_count = 0};
    int end;
    if (!*state)
        skip();
    replace_helper(directory, &end);
    assert_int_equal(user_directory_ask(directory, "stranger", &user), USER_WAIT);
    while (handoff_receive(end, &packet) == HANDOFF_DONE)
        assert_string_equal(handoff_string(&packet, 0), "x"); /* and no question */
    assert_int_equal(user_directory_collect(directory, &user), USER_WAIT);
    assert_int_equal(handoff_receive(end, &packet), HANDOFF_DONE);
    assert_string_equal(handoff_string(&packet, 0), "lookup");
    assert_string_equal(handoff_string(&packet, 1), "stranger");
    handoff_free(&packet);
    close(end);
    user_free(&user);
}

static void
questions_are_answered_in_their_order_without_waiting(void **state)
{
    struct user user = {0};
    char local[16];
    struct user_directory *directory = *state;
    if (!*state)
        skip();
    for (int i = 0; i < 300; i++) {
        snprintf(local, sizeof local, "q%d%s", i, i == 50 ? "-die-once" : "");
        assert_int_equal(user_directory_ask(directory, local, &user), USER_WAIT);
    }
    for (int i = 0; i < 300; i++) {
        enum user_status status;
        while ((status = user_directory_collect(directory, &user)) == USER_WAIT)
            usleep(1000);
        assert_int_equal(status, USER_FOUND);
        snprintf(local, sizeof local, "q%d%s", i, i == 50 ? "-die-once" : "");
        assert_string_equal(user.ext, local);
    }
    assert_int_equal(user_directory_collect(directory, &user), USER_ERROR);
    user_free(&user);
}

/* bin/qmail-getpw -S: everybody is 8001, but for some who do harm. */
static int
be_helper(void)
{
    struct handoff packet = {0};
    stralloc answer = STRALLOC_ZERO;
    while (handoff_receive(0, &packet) == HANDOFF_DONE) {
        const char *local = handoff_string(&packet, 1);
        if (strcmp(local, "die") == 0)
            _exit(1); /* dead, without the leak check */
        if (strstr(local, "die-once") && mkdir("died/now", 0700) == 0)
            _exit(1); /* dead, without the leak check */
        if (strstr(local, "die-once"))
            rmdir("died/now");
        static const char head[] = "user\0someone\0"
                                   "8001\0"
                                   "8002\0"
                                   "/h\0"
                                   "-";
        if (strcmp(local, "error") == 0)
            text_copy_bytes(&answer, "error\0no", 9);
        else if (!text_copy_bytes(&answer, head, sizeof head) ||
                 !text_append_bytes(&answer, local, strlen(local) + 1))
            _exit(1); /* dead, without the leak check */
        struct handoff_parts parts = {.strings = answer.s, .strings_len = answer.len};
        handoff_send(0, &parts);
    }
    handoff_free(&packet);
    stralloc_free(&answer);
    return 0;
}

static bool
make_home(const char *program)
{
    char command[1024];
    snprintf(
        command, sizeof command,
        "chmod 755 . && mkdir -m 777 died && mkdir bin users && cp %s bin/qmail-getpw && "
        "chmod 755 bin/qmail-getpw && echo qmailp:nobody > control/accounts",
        program);
    return system(command) == 0;
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_table_is_asked_before_the_helper, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_new_table_is_seen_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_helper_answers_what_the_table_does_not,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_helper_that_dies_is_started_again_and_asked_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            an_answer_that_nobody_waited_for_is_not_taken_for_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_question_for_which_there_was_no_room_is_asked_later, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            questions_are_answered_in_their_order_without_waiting, set_up, tear_down),
    };
    char program[400];
    if (argc == 2 && strcmp(argv[1], "-S") == 0)
        return be_helper();
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
    if (len < 0)
        return 1;
    program[len] = '\0';
    if (enter_home(NULL) < 0 || !make_home(program))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return leave_folder(NULL) != 0 || failed;
}
