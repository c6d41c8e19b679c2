#ifndef USER_DIRECTORY_H
#define USER_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

#include <skalibs/stralloc.h>

#include "cdb_table.h"
#include "handoff.h"
#include "user_table.h"

/* Who gets the mail for a local part: users/cdb first (qmail-users(5)), then qmail-getpw
 * as one long-lived helper, as account qmailp. An answer is a pure lookup: nothing
 * is delivered, written or remembered, so it may be asked at RCPT time as well as for a
 * delivery. Everybody has an answer, if only the alias user, so there is no "not found".
 * Current directory: the home.
 *
 * Single-user mode: a user with another uid cannot be served; alias gets the mail. */

enum {
    USER_DIRECTORY_ANSWER_S =
        60, /* a helper that needs longer for one answer is replaced */
};

/* Start with user_directory_init. Private, but for helper_socket and helper_pid. */
struct user_directory {
    int helper_socket; /* poll it for reading while an answer is awaited; -1 */
    pid_t helper_pid;  /* may be reaped by anyone */
    struct cdb_table table;
    stralloc questions;    /* asked and not answered, oldest first, each with its NUL */
    size_t sent;           /* so many bytes of them have been sent */
    unsigned int restarts; /* of the helper, for the oldest question */
    int64_t asked_ms;      /* when the oldest became the oldest */
    struct handoff packet;
    stralloc scratch;
};

void user_directory_init(struct user_directory *directory);
void user_directory_free(struct user_directory *directory);

/* Look up local (the part before '@', in the case it came in), and wait for the answer:
 * for a program without an event loop; none asks in this way yet.
 * user     replaced when USER_FOUND
 * returns  USER_FOUND, or USER_ERROR with errno, among others EPROTO: users/cdb or an
 *          answer is damaged; EIO, ETIMEDOUT: the helper, which has
 *          USER_DIRECTORY_ANSWER_S seconds
 * Not while questions of user_directory_ask are unanswered; itself it leaves none. */
enum user_status user_directory_find(struct user_directory *directory, const char *local,
                                     struct user *user);

/* The same for an event loop: does not wait. After USER_WAIT the answer comes by
 * user_directory_collect; answers come in the order of the questions. */
enum user_status user_directory_ask(struct user_directory *directory, const char *local,
                                    struct user *user);

/* Fetch the answer to the oldest question, if it is there: call when helper_socket is
 * readable, and about every second while anything is awaited, for the time limit.
 * returns  as user_directory_ask; USER_WAIT: not yet */
enum user_status user_directory_collect(struct user_directory *directory,
                                        struct user *user);

#endif
