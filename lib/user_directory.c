#include "user_directory.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/wait.h>

#include <skalibs/djbunix.h>
#include <skalibs/types.h>

#include "account.h"
#include "child.h"
#include "clock.h"
#include "text.h"

enum { RESTARTS_MAX = 2, POLL_MS = 1000 };

void
user_directory_init(struct user_directory *directory)
{
    *directory = (struct user_directory){
        .helper_socket = -1, .table = {.fd = -1}, .helper_pid = 0};
}

/* The alias user with all of local as the extension, for single-user mode. */
static enum user_status
choose_alias(struct user *user, const char *local)
{
    char *home = getcwd(NULL, 0);
    if (!home)
        return USER_ERROR;
    stralloc text = STRALLOC_ZERO;
    bool ok = text_append_string(&text, "alias") &&
              text_append_number_string(&text, geteuid()) &&
              text_append_number_string(&text, getegid()) && text_append(&text, home) &&
              text_append_string(&text, "/alias") && text_append_string(&text, "-") &&
              text_append_string(&text, local);
    enum user_status status = ok ? user_parse(user, text.s, text.len) : USER_ERROR;
    free(home);
    stralloc_free(&text);
    return status;
}

/* An answer that names somebody whom this process could never become. */
static enum user_status
restrict_to_us(struct user *user, const char *local)
{
    if (account_is_single_user() && user->uid != geteuid())
        return choose_alias(user, local);
    return USER_FOUND;
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
    stralloc_free(&directory->scratch);
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

/* Send what has not been sent. That a helper is gone, user_directory_collect notices. */
static bool
send_questions(struct user_directory *directory)
{
    if (directory->helper_socket < 0 && !start_helper(directory))
        return false;
    while (directory->sent < directory->questions.len) {
        const char *local = directory->questions.s + directory->sent;
        stralloc *strings = &directory->scratch;
        strings->len = 0;
        if (!text_append_string(strings, "lookup") || !text_append_string(strings, local))
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
        found = user_table_find(&directory->table, local, user);
    if (found == USER_FOUND)
        return restrict_to_us(user, local);
    if (found == USER_ERROR)
        return found;
    size_t before = directory->questions.len;
    if (!text_append_string(&directory->questions, local))
        return USER_ERROR;
    if (!before) {
        directory->asked_ms = clock_monotonic_ms();
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
    directory->asked_ms = clock_monotonic_ms();
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
    enum user_status status = user_parse(user, first, packet->strings_len - skipped);
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
        if (clock_monotonic_ms() - directory->asked_ms < USER_DIRECTORY_ANSWER_S * 1000) {
            (void)send_questions(directory); /* there was no room for these */
            return USER_WAIT;
        }
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
        if (poll(&entry, 1, POLL_MS) < 0 && errno != EINTR) {
            int saved = errno;
            user_directory_free(directory); /* or the next one gets this one's answer */
            errno = saved;
            return USER_ERROR;
        }
        status = user_directory_collect(directory, user);
    }
    return status;
}
