#ifndef TESTING_H
#define TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include <cmocka.h>

/* What several unit tests need. */

/* The setup of a group or of one test: make a folder with mode 0700 and enter it. */
static inline int
enter_folder(void **state)
{
    char path[] = "/tmp/unit-test-XXXXXX";
    (void)state;
    return mkdtemp(path) && chdir(path) == 0 ? 0 : -1;
}

/* The same, with the folders control/ and queue/ in it. */
static inline int
enter_home(void **state)
{
    return enter_folder(state) == 0 && mkdir("control", 0755) == 0 &&
                   mkdir("queue", 0700) == 0
               ? 0
               : -1;
}

/* The teardown: remove the current folder with all that is in it. */
static inline int
leave_folder(void **state)
{
    char path[64];
    char command[80];
    (void)state;
    if (!getcwd(path, sizeof path) || strncmp(path, "/tmp/unit-test-", 15) != 0)
        return -1; /* a test went elsewhere */
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static inline void
write_file_bytes(const char *path, const char *bytes, size_t len)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static inline void
write_file(const char *path, const char *text)
{
    write_file_bytes(path, text, strlen(text));
}

#endif
