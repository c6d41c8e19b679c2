#include "helper.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/wait.h>

#include <skalibs/selfpipe.h>

#include "testing.h"

/* Processes: the test forks a parent, which starts the helper. The helper tells by a byte
 * that it has got as far as its work. */

static pid_t must_be_dead; /* 0, or the parent, whose death the helper waits for first */

static void
in_new_process(void)
{
    while (must_be_dead && getppid() == must_be_dead)
        usleep(1000);
}

static void
be_helper(int fd)
{
    if (write(fd, "w", 1) == 1)
        pause();
    _exit(0);
}

/* returns the parent's pid; *end: what the helper writes, and whether it is gone */
static pid_t
start_parent(int *end, bool dies_first)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    pid_t parent = fork();
    if (parent == 0) {
        if (selfpipe_init() < 0)
            _exit(1);
        must_be_dead = dies_first ? getpid() : 0;
        close(ends[0]);
        pid_t pid = helper_fork(&ends[1], 1);
        if (pid == 0)
            be_helper(ends[1]);
        close(ends[1]);
        if (!dies_first)
            pause();
        _exit(pid < 0);
    }
    assert_true(parent > 0);
    close(ends[1]);
    *end = ends[0];
    return parent;
}

static void
a_helper_works_and_dies_with_its_parent(void **state)
{
    int end;
    char letter;
    pid_t parent = start_parent(&end, false);

    (void)state;
    assert_int_equal(read(end, &letter, 1), 1);
    kill(parent, SIGKILL);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    assert_int_equal(read(end, &letter, 1), 0);
    close(end);
}

static void
a_helper_whose_parent_is_dead_before_it_runs_does_nothing(void **state)
{
    int end, status;
    char letter;
    pid_t parent = start_parent(&end, true);

    (void)state;
    assert_int_equal(waitpid(parent, &status, 0), parent);
    assert_int_equal(status, 0);
    assert_int_equal(read(end, &letter, 1), 0);
    close(end);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_helper_works_and_dies_with_its_parent),
        cmocka_unit_test(a_helper_whose_parent_is_dead_before_it_runs_does_nothing),
    };
    alarm(60);
    if (pthread_atfork(NULL, NULL, in_new_process) != 0)
        return EXIT_FAILURE;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
