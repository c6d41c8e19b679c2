#ifndef SMTP_SESSION_H
#define SMTP_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "injection.h"
#include "smtp_policy.h"
#include "smtp_stream.h"

/* Everything that is known about one connection. */

struct smtp_session {
    struct smtp_stream stream;
    bool is_over;
    int exit_code; /* once it is over */
    int log_fd;

    /* both sides, from tcpserver's environment */
    const char *remote_ip;
    const char *remote_host;
    const char *remote_info; /* null: none */
    const char *local_host;
    stralloc greeting;

    stralloc helo; /* empty before HELO */
    bool is_esmtp; /* EHLO was said */

    /* the transaction, RFC 5321 3.3 */
    bool has_sender;
    bool is_bad_sender; /* control/badmailfrom: every recipient will be refused */
    stralloc sender;
    stralloc recipients; /* each ended by '\0' */
    uint64_t recipient_count;

    struct smtp_policy policy;
    uint64_t errors;        /* replies of 400 and above */
    uint64_t idle_commands; /* since the last message */
    struct injection injection;
    struct injection_receipt receipt;
    stralloc scratch; /* for one function at a time */
};

/* Make the session ready: environment, control/smtpgreeting, control/timeoutsmtpd. The
 * current directory is the home.
 * returns  true, or false: control files are unreadable, memory is short; the client then
 *          gets its 421 from smtp_session_run */
bool smtp_session_init(struct smtp_session *session, int in_fd, int out_fd, int log_fd);

/* Serve the client until it leaves. returns the exit code: 0 after QUIT, else 1 */
int smtp_session_run(struct smtp_session *session);

/* Forget sender and recipients. */
void smtp_session_reset(struct smtp_session *session);

/* End the session after the current command, as a failure. */
void smtp_session_abort(struct smtp_session *session);

/* Give everything back. */
void smtp_session_free(struct smtp_session *session);

#endif
