#include "maildir_batch.h"

#include <errno.h>
#include <fcntl.h>

#include "testing.h"
#include "text.h"

static const struct local_job job = {.local = "joe",
                                     .domain = "a.example",
                                     .sender = "s@b.example",
                                     .id = 1763635154123456};

static void
make(stralloc *name, struct local_job changed, const char *path, unsigned int nth)
{
    assert_true(maildir_make_name(name, &changed, path, nth));
}

static void
names_a_delivery_of_the_queue_always_alike(void **state)
{
    stralloc name = STRALLOC_ZERO, again = STRALLOC_ZERO;
    (void)state;
    make(&name, job, "./Maildir/", 0);
    make(&again, job, "./Maildir/", 0);
    assert_string_equal(name.s, again.s);
    assert_memory_equal(name.s, "1763635154.Q1763635154123456R", 29);
    assert_null(strpbrk(name.s, "/:"));
    stralloc_free(&name);
    stralloc_free(&again);
}

static void
names_different_deliveries_differently(void **state)
{
    stralloc name = STRALLOC_ZERO, other = STRALLOC_ZERO;
    struct local_job changed = job;
    (void)state;
    make(&name, job, "./Maildir/", 0);
    make(&other, job, "./Maildir/", 1);
    assert_string_not_equal(name.s, other.s);
    make(&other, job, "./Other/", 0);
    assert_string_not_equal(name.s, other.s);
    changed.local = "joe-x";
    make(&other, changed, "./Maildir/", 0);
    assert_string_not_equal(name.s, other.s);
    changed = job;
    changed.domain = "b.example";
    make(&other, changed, "./Maildir/", 0);
    assert_string_not_equal(name.s, other.s);
    changed = job;
    changed.local = "jo";
    changed.domain = "ea.example";
    make(&other, changed, "./Maildir/", 0);
    assert_string_not_equal(name.s, other.s);
    changed = job;
    changed.id++;
    make(&other, changed, "./Maildir/", 0);
    assert_string_not_equal(name.s, other.s);
    stralloc_free(&name);
    stralloc_free(&other);
}

static void
names_a_delivery_by_hand_uniquely(void **state)
{
    stralloc name = STRALLOC_ZERO, other = STRALLOC_ZERO;
    struct local_job by_hand = job;
    (void)state;
    by_hand.id = 0;
    make(&name, by_hand, "./Maildir/", 0);
    make(&other, by_hand, "./Maildir/", 0);
    assert_string_not_equal(name.s, other.s);
    stralloc_free(&name);
    stralloc_free(&other);
}

static void
counts_equal_paths(void **state)
{
    stralloc list = STRALLOC_ZERO;
    (void)state;
    assert_int_equal(maildir_count_path(&list, "a"), 0);
    assert_true(text_copy_bytes(&list, "a\0b\0a", 6));
    assert_int_equal(maildir_count_path(&list, "a"), 2);
    assert_int_equal(maildir_count_path(&list, "c"), 0);
    stralloc_free(&list);
}

struct fixture {
    struct maildir maildir;
    struct local_lines lines;
    struct message message;
};

static int
set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    *state = fixture;
    bool ok = enter_folder(NULL) == 0 && mkdir("tmp", 0700) == 0 &&
              mkdir("new", 0700) == 0 && mkdir("cur", 0700) == 0 &&
              maildir_open(&fixture->maildir, AT_FDCWD, ".");
    fixture->message = (struct message){.bytes = "body", .len = 4, .fd = -1};
    return ok && local_lines_make(&fixture->lines, &job, 0) ? 0 : -1;
}

static int
tear_down(void **state)
{
    struct fixture *fixture = *state;
    maildir_close(&fixture->maildir);
    local_lines_free(&fixture->lines);
    free(fixture);
    return leave_folder(NULL);
}

static void
write_delivery(const struct fixture *fixture, const char *name)
{
    int fd = maildir_write(&fixture->maildir, name, &fixture->lines, &fixture->message);
    assert_true(fd >= 0);
    close(fd);
}

static void
writes_lines_and_message_and_publishes_them(void **state)
{
    const struct fixture *fixture = *state;
    char got[256] = "";

    write_delivery(fixture, "a");
    assert_int_equal(maildir_publish(&fixture->maildir, "a", "a"), MAILDIR_PUBLISHED);
    int fd = openat(fixture->maildir.new, "a", O_RDONLY);
    assert_true(read(fd, got, sizeof got - 1) > 0);
    close(fd);
    assert_string_equal(got,
                        "Return-Path: <s@b.example>\nDelivered-To: joe@a.example\nbody");
}

static void
does_not_publish_twice(void **state)
{
    const struct fixture *fixture = *state;
    struct stat status;

    write_delivery(fixture, "a");
    assert_int_equal(maildir_publish(&fixture->maildir, "a", "a"), MAILDIR_PUBLISHED);
    write_delivery(fixture, "t");
    assert_int_equal(maildir_publish(&fixture->maildir, "t", "a"), MAILDIR_WAS_THERE);
    assert_int_equal(fstatat(fixture->maildir.tmp, "t", &status, 0), -1);
    assert_int_equal(maildir_publish(&fixture->maildir, "gone", "a"), MAILDIR_WAS_THERE);
    assert_int_equal(maildir_publish(&fixture->maildir, "gone", "b"),
                     MAILDIR_PUBLISH_ERROR);
}

static void
replaces_what_a_killed_delivery_left(void **state)
{
    const struct fixture *fixture = *state;
    struct stat status;

    for (int i = 0; i < 2; i++) {
        stralloc own = STRALLOC_ZERO;
        assert_true(text_copy(&own, "a"));
        int fd = maildir_write_own(&fixture->maildir, &own, &fixture->lines,
                                   &fixture->message);
        assert_true(fd >= 0);
        assert_string_not_equal(own.s, "a");
        assert_int_equal(fstatat(fixture->maildir.tmp, own.s, &status, 0), 0);
        assert_true(status.st_size < 1000);
        assert_int_equal(ftruncate(fd, 1000000), 0); /* for the second one */
        close(fd);
        stralloc_free(&own);
    }
}

static void
leaves_what_another_delivery_writes_alone(void **state)
{
    const struct fixture *fixture = *state;
    write_delivery(fixture, "a");
    assert_int_equal(
        maildir_write(&fixture->maildir, "a", &fixture->lines, &fixture->message), -1);
    assert_int_equal(errno, EEXIST);
}

/* Of whom is new/a? */
static void
assert_published(const struct fixture *fixture, ino_t inode)
{
    struct stat status;
    assert_int_equal(fstatat(fixture->maildir.new, "a", &status, 0), 0);
    assert_int_equal(status.st_ino, inode);
}

static ino_t
add_to_batch(struct maildir_batch *batch, const struct fixture *fixture)
{
    static struct maildir_slot slot;
    stralloc name = STRALLOC_ZERO;
    struct local_job again = job;
    struct stat status;
    slot.maildir = fixture->maildir;
    again.message = fixture->message;
    assert_true(text_copy(&name, "a"));
    assert_true(maildir_batch_begin(batch, "1"));
    assert_true(maildir_batch_add(batch, &slot, &name, &again, &fixture->lines));
    stralloc_free(&name);
    assert_int_equal(fstat(batch->files[0].fd, &status), 0);
    return status.st_ino;
}

static void
publishes_its_own_file_when_an_orphan_delivers_the_same_message(void **state)
{
    const struct fixture *fixture = *state;
    struct stat status;
    struct durable durable = {.is_each_file = true};
    struct maildir_batch *batches = calloc(3, sizeof *batches);
    struct maildir_batch *orphan = &batches[0], *living = &batches[1],
                         *none = &batches[2];

    for (int is_orphan_first = 0; is_orphan_first < 2; is_orphan_first++) {
        ino_t orphans = add_to_batch(orphan, fixture);
        ino_t livings = add_to_batch(living, fixture);
        struct maildir_batch *first = is_orphan_first ? orphan : living;
        assert_true(maildir_batch_turn(first, none, &durable));
        assert_published(fixture, is_orphan_first ? orphans : livings);
        assert_true(
            maildir_batch_turn(is_orphan_first ? living : orphan, none, &durable));
        assert_published(fixture, is_orphan_first ? orphans : livings);
        assert_int_equal(fstatat(fixture->maildir.tmp, "a", &status, 0), -1);
        assert_int_equal(unlinkat(fixture->maildir.new, "a", 0), 0);
        maildir_batch_reset(orphan);
        maildir_batch_reset(living);
    }
    for (int i = 0; i < 3; i++)
        maildir_batch_free(&batches[i]);
    free(batches);
}

static void
finds_names_with_and_without_flags(void **state)
{
    const struct fixture *fixture = *state;
    const struct maildir *maildir = &fixture->maildir;
    uint64_t *hashes;
    size_t count;

    write_delivery(fixture, "a");
    assert_int_equal(MAILDIR_ABSENT, maildir_look(maildir, "a"));
    assert_int_equal(maildir_publish(maildir, "a", "a"), MAILDIR_PUBLISHED);
    assert_int_equal(MAILDIR_PRESENT, maildir_look(maildir, "a"));
    assert_int_equal(renameat(maildir->new, "a", maildir->base, "cur/a:2,FS"), 0);
    assert_int_equal(MAILDIR_PRESENT, maildir_look(maildir, "a"));
    assert_int_equal(MAILDIR_ABSENT, maildir_look(maildir, ""));
    assert_int_equal(MAILDIR_ABSENT, maildir_look(maildir, "a:"));
    assert_true(maildir_list(maildir, &hashes, &count));
    assert_true(maildir_list_has(hashes, count, "a"));
    assert_false(maildir_list_has(hashes, count, "b"));
    free(hashes);
}

static void
tells_a_folder_that_cannot_be_read_from_one_without_the_name(void **state)
{
    (void)state;
    const struct maildir closed = {.base = -1, .tmp = -1, .new = -1};
    uint64_t *hashes;
    size_t count;

    assert_int_equal(maildir_look(&closed, "a"), MAILDIR_UNREADABLE);
    assert_false(maildir_list(&closed, &hashes, &count));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_a_delivery_of_the_queue_always_alike),
        cmocka_unit_test(names_different_deliveries_differently),
        cmocka_unit_test(tells_a_folder_that_cannot_be_read_from_one_without_the_name),
        cmocka_unit_test(names_a_delivery_by_hand_uniquely),
        cmocka_unit_test(counts_equal_paths),
        cmocka_unit_test_setup_teardown(writes_lines_and_message_and_publishes_them,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(does_not_publish_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(replaces_what_a_killed_delivery_left, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(leaves_what_another_delivery_writes_alone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            publishes_its_own_file_when_an_orphan_delivers_the_same_message, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(finds_names_with_and_without_flags, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
