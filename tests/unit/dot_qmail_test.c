#include "dot_qmail.h"

#include <errno.h>
#include <fcntl.h>

#include "testing.h"
#include "text.h"

struct fixture {
    int home;
    struct dot_qmail file;
};

static void
put(const struct fixture *fixture, const char *name, const char *text, mode_t mode)
{
    int fd = openat(fixture->home, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static int
set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    *state = fixture;
    return enter_folder(NULL) == 0 &&
                   dot_qmail_open_home(".", &fixture->home) == DOT_QMAIL_HOME_OK
               ? 0
               : -1;
}

static int
tear_down(void **state)
{
    struct fixture *fixture = *state;
    dot_qmail_free(&fixture->file);
    close(fixture->home);
    free(fixture);
    return leave_folder(NULL);
}

static void
expect(struct fixture *fixture, const char *dash, const char *ext, const char *name,
       const char *default_part)
{
    assert_int_equal(dot_qmail_find(&fixture->file, fixture->home, dash, ext),
                     DOT_QMAIL_FILE);
    assert_string_equal(fixture->file.name.s, name);
    if (default_part)
        assert_string_equal(fixture->file.default_part, default_part);
    else
        assert_null(fixture->file.default_part);
}

static void
tries_the_exact_name_and_then_defaults_from_the_right(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, ".qmail-a-b", "x", 0600);
    put(fixture, ".qmail-a-default", "x", 0600);
    put(fixture, ".qmail-default", "x", 0600);
    expect(fixture, "-", "a-b", ".qmail-a-b", NULL);
    expect(fixture, "-", "a-b-c", ".qmail-a-default", "b-c");
    expect(fixture, "-", "a-", ".qmail-a-default", "");
    expect(fixture, "-", "b", ".qmail-default", "b");
    expect(fixture, "-", "", ".qmail-default", "");
}

static void
makes_names_harmless(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, ".qmail-a:b", "x", 0600);
    expect(fixture, "-", "A.B", ".qmail-a:b", NULL);
    assert_int_equal(dot_qmail_find(&fixture->file, fixture->home, "-", "../x"),
                     DOT_QMAIL_ABSENT);
}

static void
sets_default_for_an_exact_name_that_ends_in_default(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, ".qmail-x-default", "x", 0600);
    expect(fixture, "-", "x-Default", ".qmail-x-default", "Default");
}

static void
tells_missing_empty_and_default_apart(void **state)
{
    struct fixture *fixture = *state;
    struct dot_qmail *file = &fixture->file;
    assert_int_equal(dot_qmail_find(file, fixture->home, "-", "x"), DOT_QMAIL_ABSENT);
    assert_int_equal(dot_qmail_find(file, fixture->home, "", ""), DOT_QMAIL_DEFAULT);
    put(fixture, ".qmail-x", "", 0700);
    assert_int_equal(dot_qmail_find(file, fixture->home, "-", "x"), DOT_QMAIL_DEFAULT);
    assert_false(file->forward_only);
}

static void
does_not_look_for_a_default_without_dash_and_extension(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, ".qmaildefault", "x", 0600);
    assert_int_equal(dot_qmail_find(&fixture->file, fixture->home, "", ""),
                     DOT_QMAIL_DEFAULT);
}

static void
reads_the_mode_of_the_file(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, ".qmail-x", "text", 0744);
    expect(fixture, "-", "x", ".qmail-x", NULL);
    assert_true(fixture->file.forward_only);
    assert_string_equal(fixture->file.text.s, "text");
    put(fixture, ".qmail-x", "text", 0602);
    assert_int_equal(dot_qmail_find(&fixture->file, fixture->home, "-", "x"),
                     DOT_QMAIL_WRITABLE);
}

static void
skips_what_is_no_regular_file(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, ".qmail-default", "x", 0600);
    assert_int_equal(mkdirat(fixture->home, ".qmail-a", 0700), 0);
    assert_int_equal(mkfifoat(fixture->home, ".qmail-b", 0600), 0);
    assert_int_equal(symlinkat(".qmail-c", fixture->home, ".qmail-c"), 0);
    expect(fixture, "-", "a", ".qmail-default", "a");
    expect(fixture, "-", "b", ".qmail-default", "b");
    expect(fixture, "-", "c", ".qmail-default", "c");
}

static void
refuses_a_file_that_is_too_large(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, ".qmail-x", "x", 0600);
    int fd = openat(fixture->home, ".qmail-x", O_WRONLY);
    assert_int_equal(ftruncate(fd, DOT_QMAIL_SIZE_MAX + 1), 0);
    close(fd);
    assert_int_equal(dot_qmail_find(&fixture->file, fixture->home, "-", "x"),
                     DOT_QMAIL_ERROR);
    assert_int_equal(errno, EFBIG);
}

static void
looks_at_the_mode_of_the_home(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(chmod(".", 01700), 0);
    assert_int_equal(dot_qmail_check_home(fixture->home), DOT_QMAIL_HOME_STICKY);
    assert_int_equal(chmod(".", 0702), 0);
    assert_int_equal(dot_qmail_check_home(fixture->home), DOT_QMAIL_HOME_WRITABLE);
    assert_int_equal(chmod(".", 0770), 0);
    assert_int_equal(dot_qmail_check_home(fixture->home), DOT_QMAIL_HOME_OK);
    int fd;
    assert_int_equal(dot_qmail_open_home("/nonexistent", &fd), DOT_QMAIL_HOME_ERROR);
}

static void
finds_owner_files_by_the_full_extension(void **state)
{
    struct fixture *fixture = *state;
    int home = fixture->home;
    assert_int_equal(dot_qmail_find_owner(home, "-", "a.l"), DOT_QMAIL_OWNER_NONE);
    put(fixture, ".qmail-a:l-owner-default", "", 0600);
    assert_int_equal(dot_qmail_find_owner(home, "-", "A.l"), DOT_QMAIL_OWNER_NONE);
    put(fixture, ".qmail-a:l-owner", "", 0600);
    assert_int_equal(dot_qmail_find_owner(home, "-", "A.l"), DOT_QMAIL_OWNER_VERP);
    put(fixture, ".qmail-owner", "", 0600);
    assert_int_equal(dot_qmail_find_owner(home, "", ""), DOT_QMAIL_OWNER_PLAIN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tries_the_exact_name_and_then_defaults_from_the_right),
        TEST(makes_names_harmless),
        TEST(sets_default_for_an_exact_name_that_ends_in_default),
        TEST(tells_missing_empty_and_default_apart),
        TEST(does_not_look_for_a_default_without_dash_and_extension),
        TEST(reads_the_mode_of_the_file),
        TEST(skips_what_is_no_regular_file),
        TEST(refuses_a_file_that_is_too_large),
        TEST(looks_at_the_mode_of_the_home),
        TEST(finds_owner_files_by_the_full_extension),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
