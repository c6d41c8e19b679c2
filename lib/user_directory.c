#include "user_directory.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/wait.h>

#include <skalibs/djbunix.h>
#include <skalibs/types.h>

#include "account.h"
#include "child.h"
#include "text.h"

enum { RESTARTS_MAX = 2, POLL_MS = 1000 };

static int64_t
now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
user_free(struct user *user)
{
    stralloc_free(&user->text);
    *user = (struct user){0};
}

void
user_directory_init(struct user_directory *directory)
{
    *directory = (struct user_directory){
        .helper_socket = -1, .table = {.fd = -1}, .helper_pid = 0};
}

static enum user_status
protocol_error(void)
{
    errno = EPROTO;
    return USER_ERROR;
}

/* Point the members of *user at the six strings in its text (user, uid, gid, homedir, dash, ext);
 * what follows ext's NUL is not ours. */
static enum user_status
dissect(struct user *user)
{
    const char *fields[6];
    size_t at = 0;
    uint32_t uid;
    uint32_t gid;

    for (size_t i = 0; i < 6; i++) {
        if (at >= user->text.len)
            return protocol_error();
        fields[i] = user->text.s + at;
        at += strnlen(user->text.s + at, user->text.len - at) + 1;
    }
    if (at > user->text.len) /* the last one had no NUL */
        return protocol_error();
    if (!*fields[0] || !*fields[3] || !uint320_scan(fields[1], &uid) ||
        !uint320_scan(fields[2], &gid) || uid == UINT32_MAX || gid == UINT32_MAX)
        return protocol_error();
    user->uid = uid;
    user->gid = gid;
    user->name = fields[0];
    user->homedir = fields[3];
    user->dash = fields[4];
    user->ext = fields[5];
    return USER_FOUND;
}

/* The alias user with all of local as the extension, for single-user mode. */
static enum user_status
choose_alias(struct user *user, const char *local)
{
    char *home = getcwd(NULL, 0);
    if (!home)
        return USER_ERROR;
    user->text.len = 0;
    bool ok = text_append(&user->text, "alias") && stralloc_0(&user->text) &&
              text_append_number(&user->text, geteuid()) && stralloc_0(&user->text) &&
              text_append_number(&user->text, getegid()) && stralloc_0(&user->text) &&
              text_append(&user->text, home) && text_append(&user->text, "/alias") &&
              stralloc_0(&user->text) && text_append(&user->text, "-") &&
              stralloc_0(&user->text) && text_append(&user->text, local) &&
              stralloc_0(&user->text);
    free(home);
    return ok ? dissect(user) : USER_ERROR;
}

/* An answer that names somebody whom this process could never become. */
static enum user_status
restrict_to_us(struct user *user, const char *local)
{
    if (account_is_single_user() && user->uid != geteuid())
        return choose_alias(user, local);
    return USER_FOUND;
}

/* Take a record of users/cdb as the answer; rest is appended to its ext. */
static enum user_status
take_record(struct user_directory *directory, struct user *user, const char *rest)
{
    if (!text_copy_bytes(&user->text, directory->data.s, directory->data.len) ||
        !text_append(&user->text, rest) || !stralloc_0(&user->text))
        return USER_ERROR;
    return dissect(user);
}

/* Look local up in users/cdb: as an exact entry, key "!local\0", then ever shorter prefixes, keys
 * "!prefix", but only those whose last byte ends any wildcard entry (the record of the empty key).
 * returns  USER_WAIT: nothing there */
static enum user_status
find_in_table(struct user_directory *directory, const char *local, struct user *user)
{
    stralloc *key = &directory->key;
    stralloc *data = &directory->data;
    char is_last_byte[256] = {0};

    if (!text_copy(key, "!") || !text_append(key, local) || !stralloc_0(key))
        return USER_ERROR;
    text_lower(key->s, key->len);
    enum cdb_table_status status = cdb_table_find(&directory->table, "", 0, data);
    if (status == CDB_TABLE_ABSENT)
        return protocol_error(); /* qmail-newu always writes this record */
    if (status == CDB_TABLE_FOUND) {
        for (size_t i = 0; i < data->len; i++)
            is_last_byte[(unsigned char)data->s[i]] = 1;
        status = cdb_table_find(&directory->table, key->s, key->len, data);
    }
    if (status == CDB_TABLE_FOUND)
        return take_record(directory, user, "");
    for (size_t len = key->len - 1; status == CDB_TABLE_ABSENT && len >= 1; len--) {
        if (len > 1 && !is_last_byte[(unsigned char)key->s[len - 1]])
            continue;
        status = cdb_table_find(&directory->table, key->s, len, data);
        if (status == CDB_TABLE_FOUND)
            return take_record(directory, user, local + len - 1);
    }
    return status == CDB_TABLE_ERROR ? USER_ERROR : USER_WAIT;
}

/* Give the helper up, running or not. */
static void
stop_helper(struct user_directory *directory)
{
    int status;
    if (directory->helper_socket >= 0)
        close(directory->helper_socket);
    directory->helper_socket = -1;
    directory->sent = 0;
    if (directory->helper_pid > 0 &&
        waitpid(directory->helper_pid, &status, WNOHANG) == 0)
        kill(directory->helper_pid, SIGKILL);
    directory->helper_pid = 0;
}

void
user_directory_free(struct user_directory *directory)
{
    stop_helper(directory);
    cdb_table_close(&directory->table);
    stralloc_free(&directory->questions);
    stralloc_free(&directory->data);
    stralloc_free(&directory->key);
    handoff_free(&directory->packet);
    user_directory_init(directory);
}

static bool
start_helper(struct user_directory *directory)
{
    static const char *const arguments[] = {"bin/qmail-getpw", "-S", NULL};
    struct account account;
    int sockets[2];

    if (!account_find(&account, "qmailp") || !handoff_pair(sockets))
        return false;
    struct child_plan plan = {
        .arguments = arguments, .identity = &account, .input = sockets[1], .output = -1};
    pid_t pid = ndelay_on(sockets[0]) < 0 ? -1 : child_start(&plan);
    fd_close(sockets[1]);
    if (pid < 0) {
        fd_close(sockets[0]);
        return false;
    }
    directory->helper_socket = sockets[0];
    directory->helper_pid = pid;
    directory->sent = 0;
    return true;
}

/* Send what has not been sent. A helper that is gone is noticed by user_directory_collect. */
static bool
send_questions(struct user_directory *directory)
{
    if (directory->helper_socket < 0 && !start_helper(directory))
        return false;
    while (directory->sent < directory->questions.len) {
        const char *local = directory->questions.s + directory->sent;
        stralloc *strings = &directory->key;
        if (!text_copy(strings, "lookup") || !stralloc_0(strings) ||
            !text_append(strings, local) || !stralloc_0(strings))
            return false;
        struct handoff_parts parts = {.strings = strings->s, .strings_len = strings->len};
        enum handoff_status status = handoff_send(directory->helper_socket, &parts);
        if (status == HANDOFF_ERROR)
            return false;
        if (status != HANDOFF_DONE)
            break;
        directory->sent += strlen(local) + 1;
    }
    return true;
}

enum user_status
user_directory_ask(struct user_directory *directory, const char *local, struct user *user)
{
    enum user_status found = USER_WAIT;
    enum cdb_table_status status = cdb_table_open(&directory->table, "users/cdb");
    if (status == CDB_TABLE_ERROR)
        return USER_ERROR;
    if (status == CDB_TABLE_FOUND)
        found = find_in_table(directory, local, user);
    if (found == USER_FOUND)
        return restrict_to_us(user, local);
    if (found == USER_ERROR)
        return found;
    size_t before = directory->questions.len;
    if (!text_append(&directory->questions, local) || !stralloc_0(&directory->questions))
        return USER_ERROR;
    if (!before) {
        directory->asked_ms = now_ms();
        directory->restarts = 0;
    }
    if (!send_questions(directory) && !before) {
        directory->questions.len = before;
        return USER_ERROR;
    }
    return USER_WAIT;
}

/* Forget the oldest question; its answer is what is returned. */
static enum user_status
settle(struct user_directory *directory, enum user_status status)
{
    int saved = errno;
    stralloc *questions = &directory->questions;
    size_t len = strlen(questions->s) + 1;
    questions->len -= len;
    memmove(questions->s, questions->s + len, questions->len);
    directory->sent -= directory->sent < len ? directory->sent : len;
    directory->asked_ms = now_ms();
    directory->restarts = 0;
    if (directory->helper_socket >= 0)
        (void)send_questions(directory); /* a failure shows when their turn has come */
    errno = saved;
    return status;
}

/* Understand the helper's packet: "user" and six strings, or "error" and a text. */
static enum user_status
take_answer(struct user_directory *directory, struct user *user)
{
    const struct handoff *packet = &directory->packet;
    const char *verb = handoff_string(packet, 0);
    const char *first = handoff_string(packet, 1);

    if (!verb || !first || strcmp(verb, "user") != 0) {
        errno = EIO;
        return USER_ERROR;
    }
    size_t skipped = (size_t)(first - verb);
    if (!text_copy_bytes(&user->text, first, packet->strings_len - skipped))
        return USER_ERROR;
    enum user_status status = dissect(user);
    return status == USER_FOUND ? restrict_to_us(user, directory->questions.s) : status;
}

enum user_status
user_directory_collect(struct user_directory *directory, struct user *user)
{
    if (!directory->questions.len) {
        errno = EINVAL;
        return USER_ERROR;
    }
    enum handoff_status status =
        directory->helper_socket < 0
            ? HANDOFF_CLOSED
            : handoff_receive(directory->helper_socket, &directory->packet);
    if (status == HANDOFF_DONE)
        return settle(directory, take_answer(directory, user));
    if (status == HANDOFF_WAIT) {
        if (now_ms() - directory->asked_ms < USER_DIRECTORY_ANSWER_S * 1000)
            return USER_WAIT;
        stop_helper(directory); /* it hangs in somebody's name service */
        errno = ETIMEDOUT;
        return settle(directory, USER_ERROR);
    }
    stop_helper(directory);
    if (directory->restarts++ < RESTARTS_MAX && send_questions(directory))
        return USER_WAIT;
    stop_helper(directory);
    errno = EIO;
    return settle(directory, USER_ERROR);
}

enum user_status
user_directory_find(struct user_directory *directory, const char *local,
                    struct user *user)
{
    enum user_status status = user_directory_ask(directory, local, user);
    while (status == USER_WAIT) {
        struct pollfd entry = {.fd = directory->helper_socket, .events = POLLIN};
        if (poll(&entry, 1, POLL_MS) < 0 && errno != EINTR)
            return USER_ERROR;
        status = user_directory_collect(directory, user);
    }
    return status;
}
