#include "trigger.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "testing.h"

enum { DATAGRAM_MAX = 4096, MANY = 1000, TOO_MANY = 20000 };

static int
bind_trigger(int type)
{
    const struct sockaddr_un address = {.sun_family = AF_UNIX,
                                        .sun_path = "queue/trigger"};
    unlink("queue/trigger");
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static int
listen_at_trigger(void)
{
    return bind_trigger(SOCK_DGRAM);
}

static void
end(struct trigger *trigger, int listener)
{
    stralloc_free(&trigger->ids);
    close(trigger->socket);
    close(listener);
}

static void
sends_all_ids_in_datagrams_of_whole_lines(void **state)
{
    (void)state;
    char text[DATAGRAM_MAX + 1];
    struct trigger trigger;
    unsigned int seen = 0;
    int listener = listen_at_trigger();

    assert_true(trigger_open(&trigger));
    for (unsigned int i = 0; i < MANY; i++)
        trigger_add(&trigger, 1795173586068950 + i);
    bool is_done = false;
    while (!is_done || seen < MANY) { /* the receiver's queue is shorter than that */
        is_done = trigger_send(&trigger);
        ssize_t got = recv(listener, text, sizeof text, 0);
        assert_true(got > 0 && got <= DATAGRAM_MAX && text[got - 1] == '\n');
        for (ssize_t at = 0; at < got; at += 17) {
            char wanted[32];
            snprintf(wanted, sizeof wanted, "%llu\n", 1795173586068950ULL + seen++);
            assert_memory_equal(text + at, wanted, 17);
        }
    }
    end(&trigger, listener);
}

static void
nobody_listening_is_no_trouble(void **state)
{
    (void)state;
    struct trigger trigger;
    assert_true(trigger_open(&trigger));
    unlink("queue/trigger");
    trigger_add(&trigger, 1);
    assert_true(trigger_send(&trigger));
    int listener = listen_at_trigger();
    close(listener); /* the name stays, refused */
    trigger_add(&trigger, 2);
    assert_true(trigger_send(&trigger));
    end(&trigger, -1);
}

/* Here a socket of another kind; it could be a permission. */
static void
any_other_error_is_tried_again(void **state)
{
    (void)state;
    char text[DATAGRAM_MAX];
    struct trigger trigger;
    int other = bind_trigger(SOCK_STREAM);
    assert_true(trigger_open(&trigger));
    trigger_add(&trigger, 17);
    assert_false(trigger_send(&trigger));
    close(other);
    int listener = listen_at_trigger();
    assert_true(trigger_send(&trigger));
    assert_int_equal(recv(listener, text, sizeof text, 0), 3);
    assert_memory_equal(text, "17\n", 3);
    end(&trigger, listener);
}

static void
too_many_become_a_scan(void **state)
{
    (void)state;
    char text[DATAGRAM_MAX];
    struct trigger trigger;
    int listener = listen_at_trigger();
    assert_true(trigger_open(&trigger));
    for (uint64_t i = 0; i < TOO_MANY; i++)
        trigger_add(&trigger, 1795173586068950 + i);
    assert_true(trigger.ids.len < TOO_MANY * 8); /* bounded */
    assert_true(trigger_send(&trigger));
    assert_int_equal(recv(listener, text, sizeof text, 0), 4);
    assert_memory_equal(text, "scan", 4);
    end(&trigger, listener);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_all_ids_in_datagrams_of_whole_lines),
        cmocka_unit_test(nobody_listening_is_no_trouble),
        cmocka_unit_test(any_other_error_is_tried_again),
        cmocka_unit_test(too_many_become_a_scan),
    };
    return cmocka_run_group_tests(tests, enter_home, leave_folder);
}
