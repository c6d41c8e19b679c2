#include "next_entry.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "testing.h"

static void
tells_the_end_from_an_error(void **state)
{
    (void)state;
    int entries = 0;

    DIR *directory = opendir(".");
    assert_non_null(directory);
    errno = EINTR;
    while (next_entry(directory))
        entries++;
    assert_int_equal(errno, 0);
    assert_int_equal(entries, 2);
    rewinddir(directory);
    int fd = dirfd(directory), kept = dup(fd);
    close(fd);
    assert_null(next_entry(directory));
    assert_int_equal(errno, EBADF);
    assert_int_equal(dup2(kept, fd), fd);
    close(kept);
    closedir(directory);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tells_the_end_from_an_error, enter_folder,
                                        leave_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
