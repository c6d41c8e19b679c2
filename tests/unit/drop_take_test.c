#include "drop_take.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include <sys/stat.h>
#include <sys/wait.h>

#include <skalibs/types.h>

#include "drop_file.h"
#include "entry.h"
#include "exitcode.h"
#include "queue_folders.h"
#include "server.h"
#include "source.h"
#include "testing.h"

static const char bytes[] = "Subject: x\n\nhello\nFme@a\0Tyou@b\0";
enum { MESSAGE = 18, ENVELOPE = sizeof bytes - MESSAGE, ID = 1000000 };

static const struct server_options options = {.client_max = 1};
static struct drop_take take;
static pid_t queued;

/* qmail-queued's answers: ids from ID + 1 on. What is queued goes to file "queued". */
static _Noreturn void
be_queued(int socket)
{
    struct handoff packet = {.fd_count = 0};
    FILE *log = fopen("queued", "w");
    char text[32];

    for (uint64_t id = ID; handoff_receive(socket, &packet) == HANDOFF_DONE;) {
        if (strcmp(handoff_string(&packet, 0), "queued") == 0) {
            fprintf(log, "%s\n", handoff_string(&packet, 1));
            continue;
        }
        int len = snprintf(text, sizeof text, "0%c%" PRIu64, 0, ++id);
        struct handoff_parts parts = {.strings = text, .strings_len = (size_t)len + 1};
        (void)handoff_send(socket, &parts);
    }
    _exit(fclose(log));
}

static int
begin(void **state)
{
    int ends[2];

    if (enter_home(state) < 0 || !queue_folders_make() || !handoff_pair(ends))
        return -1;
    queued = fork();
    if (queued == 0) {
        close(ends[0]);
        be_queued(ends[1]);
    }
    close(ends[1]);
    int folder = open("queue/mess/0", O_RDONLY | O_DIRECTORY);
    take = (struct drop_take){
        .options = &options, .mount = source_mount(folder), .socket = ends[0]};
    close(folder);
    return drop_take_begin(&take) ? 0 : -1;
}

static int
end(void **state)
{
    close(take.taking);
    handoff_free(&take.packet);
    stralloc_free(&take.file.envelope);
    return leave_folder(state);
}

static void
put(const char *path, const char *content, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, len), len);
    close(fd);
}

static void
put_drop(const char *path)
{
    const struct drop_file drop = {
        .message_len = MESSAGE, .envelope_len = ENVELOPE, .pid = 7};
    char content[sizeof bytes + DROP_FILE_FOOTER_LEN];

    memcpy(content, bytes, sizeof bytes);
    drop_file_format(content + sizeof bytes, &drop);
    put(path, content, sizeof content);
}

/* A queue file, of which the last `missing` bytes are missing. */
static void
put_queue_file(const char *path, off_t missing)
{
    const struct entry_origin origin = {.uid = 1000, .pid = 4711};
    struct entry entry;
    struct stat status;

    assert_int_equal(entry_begin(&entry, &origin, MESSAGE, ENVELOPE), QUEUE_OK);
    entry.file = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_int_equal(entry_write(&entry, bytes, sizeof bytes), QUEUE_OK);
    assert_int_equal(fstat(entry.file, &status), 0);
    assert_int_equal(ftruncate(entry.file, status.st_size - missing), 0);
    entry_close(&entry);
}

static unsigned int
count(const char *path)
{
    unsigned int found = 0;
    DIR *directory = opendir(path);
    assert_non_null(directory);
    for (const struct dirent *each; (each = readdir(directory));)
        found += each->d_name[0] != '.';
    closedir(directory);
    return found;
}

/* How many messages are in queue/mess, all of them sound. */
static unsigned int
count_queued(void)
{
    char path[QUEUE_FILE_PATH_MAX];
    unsigned int found = 0;

    for (uint64_t id = ID - 10; id < ID + 20; id++) {
        queue_file_path(path, id);
        int fd = open(path, O_RDONLY);
        if (fd < 0)
            continue;
        assert_int_equal(queue_file_read(fd, &take.file, true), QUEUE_FILE_OK);
        close(fd);
        found++;
    }
    return found;
}

static void
assert_queued(const char *ids)
{
    char text[256] = "";

    close(take.socket);
    assert_int_equal(waitpid(queued, NULL, 0), queued);
    FILE *file = fopen("queued", "r");
    assert_non_null(file);
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = '\0';
    assert_string_equal(text, ids);
}

static bool
is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static void
takes_all_in_and_tells_of_each(void **state)
{
    (void)state;
    put_drop("queue/drop/one");
    put_drop("queue/drop/two");
    drop_take_round(&take);
    drop_take_round(&take);
    assert_int_equal(count_queued(), 2);
    assert_int_equal(count("queue/drop") + count("queue/taking"), 0);
    assert_queued("1000001\n1000002\n");
}

/* ---- each state that a crash may leave: the message is in the queue once */

static void
what_had_only_begun_is_made_anew(void **state)
{
    (void)state;
    put_drop("queue/drop/none");
    put("queue/taking/999998.none", "", 0);
    put_drop("queue/drop/half");
    put_queue_file("queue/taking/999997.half", 40);
    drop_take_round(&take);
    assert_int_equal(count_queued(), 2);
    assert_int_equal(count("queue/drop") + count("queue/taking"), 0);
    assert_int_equal(count("queue/bad"), 0);
    assert_queued("1000001\n1000002\n");
}

static void
what_is_in_both_folders_is_taken_in_once(void **state)
{
    (void)state;
    put_drop("queue/drop/name");
    put_queue_file("queue/taking/999999.name", 0);
    drop_take_round(&take);
    assert_int_equal(count_queued(), 1);
    assert_int_equal(count("queue/drop") + count("queue/taking"), 0);
    assert_queued("1000001\n");
}

static void
what_has_gone_from_drop_keeps_its_id(void **state)
{
    (void)state;
    put_queue_file("queue/taking/999999.name", 0);
    drop_take_round(&take);
    assert_int_equal(count_queued(), 1);
    assert_int_equal(count("queue/taking"), 0);
    assert_queued("999999\n");
}

/* ---- the rest */

static void
what_its_owner_has_taken_back_is_set_aside(void **state)
{
    (void)state;
    put_queue_file("queue/taking/999999.name", 1);
    drop_take_round(&take);
    assert_int_equal(count_queued() + count("queue/taking"), 0);
    assert_true(is_there("queue/bad/drop-999999.name"));
    assert_queued("");
}

static void
another_message_with_that_id_is_not_overwritten(void **state)
{
    (void)state;
    char path[QUEUE_FILE_PATH_MAX];
    queue_file_path(path, 999999);
    put_queue_file(path, 0);
    put_queue_file("queue/taking/999999.name", 0);
    drop_take_round(&take);
    assert_int_equal(count_queued(), 2);
    assert_queued("1000001\n");
}

static void
what_cannot_be_flushed_waits(void **state)
{
    (void)state;
    put_queue_file("queue/taking/999999.name", 0);
    assert_int_equal(rename("queue/drop", "queue/elsewhere"), 0);
    drop_take_round(&take);
    assert_int_equal(count_queued(), 0);
    assert_int_equal(rename("queue/elsewhere", "queue/drop"), 0);
    drop_take_round(&take);
    assert_int_equal(count_queued(), 1);
    assert_queued("999999\n");
}

static void
foreign_files_are_left_alone(void **state)
{
    (void)state;
    static const char *const names[] = {
        "queue/taking/README", "queue/taking/999999", "queue/taking/999999.",
        "queue/taking/0999999.name", "queue/taking/0.name"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        put_queue_file(names[i], 0);
    put_drop("queue/drop/name");
    drop_take_round(&take);
    assert_int_equal(count_queued(), 1);
    assert_int_equal(count("queue/taking"), 5);
    assert_queued("1000001\n");
}

static void
a_name_that_would_become_too_long_is_set_aside(void **state)
{
    (void)state;
    char path[300] = "queue/drop/";
    memset(path + strlen(path), 'x', 201);
    put_drop(path);
    memset(path + sizeof "queue/drop/" - 1, 'y', 255); /* the longest there is */
    put_drop(path);
    drop_take_round(&take);
    assert_int_equal(count_queued() + count("queue/drop"), 0);
    assert_int_equal(count("queue/bad"), 2);
    assert_queued("");
}

/* Such a file, last written to so many hours ago. */
static void
age(const char *path, time_t hours)
{
    const struct timespec old = {.tv_sec = time(NULL) - hours * 3600};
    const struct timespec times[] = {old, old};
    assert_int_equal(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

static void
what_a_killed_writer_left_is_removed_some_day(void **state)
{
    (void)state;
    static const char *const old[] = {"queue/drop/.empty", "queue/drop/.half"};
    put(old[0], "", 0);
    put(old[1], bytes, 5);
    put("queue/drop/.young", bytes, 5);
    assert_int_equal(mkdir("queue/drop/.folder", 0700), 0);
    assert_int_equal(symlink("elsewhere", "queue/drop/.link"), 0);
    put_drop("queue/drop/message"); /* however old it is */
    age("queue/drop/.young", 35);
    age("queue/drop/.folder", 37);
    age("queue/drop/.link", 37);
    age("queue/drop/message", 37);
    drop_take_round(&take);
    assert_true(is_there(old[0]) && is_there(old[1]));
    age(old[0], 37);
    age(old[1], 37);
    drop_take_round(&take);
    assert_true(!is_there(old[0]) && !is_there(old[1]));
    assert_true(is_there("queue/drop/.young") && is_there("queue/drop/.folder"));
    assert_int_equal(unlink("queue/drop/.link"), 0);
    assert_int_equal(count_queued(), 1);
    assert_queued("1000001\n");
}

static void
the_second_waits_for_the_first(void **state)
{
    (void)state;
    struct drop_take second = {.socket = -1};
    char byte;
    int pipes[2];

    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(take.taking);
        bool ok = write(pipes[1], "b", 1) == 1 && drop_take_begin(&second);
        _exit(ok && is_there("ended") ? 0 : 1);
    }
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    usleep(20000);
    put("ended", "", 0);
    close(take.taking);
    take.taking = -1;
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(pipes[0]);
    close(pipes[1]);
    assert_queued("");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(takes_all_in_and_tells_of_each, begin, end),
        cmocka_unit_test_setup_teardown(what_had_only_begun_is_made_anew, begin, end),
        cmocka_unit_test_setup_teardown(what_is_in_both_folders_is_taken_in_once, begin,
                                        end),
        cmocka_unit_test_setup_teardown(what_has_gone_from_drop_keeps_its_id, begin, end),
        cmocka_unit_test_setup_teardown(what_its_owner_has_taken_back_is_set_aside, begin,
                                        end),
        cmocka_unit_test_setup_teardown(another_message_with_that_id_is_not_overwritten,
                                        begin, end),
        cmocka_unit_test_setup_teardown(what_cannot_be_flushed_waits, begin, end),
        cmocka_unit_test_setup_teardown(foreign_files_are_left_alone, begin, end),
        cmocka_unit_test_setup_teardown(a_name_that_would_become_too_long_is_set_aside,
                                        begin, end),
        cmocka_unit_test_setup_teardown(what_a_killed_writer_left_is_removed_some_day,
                                        begin, end),
        cmocka_unit_test_setup_teardown(the_second_waits_for_the_first, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
