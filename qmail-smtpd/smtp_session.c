#include "smtp_session.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "control.h"
#include "smtp_reply.h"
#include "smtp_verb.h"
#include "text.h"

enum {
    DEFAULT_TIMEOUT_S = 1200,
    TIMEOUT_MAX_S = 1000000,
    IDLE_COMMANDS_MAX = 200, /* NOOP and the like without a message in between */
};

/* A verb of RFC 5321 4.1.1. Idle ones do not bring a message nearer. */
struct verb {
    const char *name;
    void (*serve)(struct smtp_session *session, char *argument);
    bool is_idle;
};

static const struct verb verbs[] = {
    {"MAIL", smtp_mail, true}, /* every transaction that is given up counts */
    {"RCPT", smtp_rcpt, false}, {"DATA", smtp_data, false}, {"EHLO", smtp_ehlo, true},
    {"HELO", smtp_helo, true},  {"QUIT", smtp_quit, false}, {"RSET", smtp_rset, true},
    {"NOOP", smtp_noop, true},  {"HELP", smtp_help, true},  {"VRFY", smtp_vrfy, true},
    {"EXPN", smtp_expn, true},
};

static const char *
environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

static bool
read_timeout(unsigned int *timeout_s)
{
    uint64_t value = DEFAULT_TIMEOUT_S;
    if (control_read_number(&value, "control/timeoutsmtpd") == CONTROL_ERROR)
        return false;
    if (!value) /* as in qmail */
        value = 1;
    *timeout_s = (unsigned int)(value < TIMEOUT_MAX_S ? value : TIMEOUT_MAX_S);
    return true;
}

bool
smtp_session_init(struct smtp_session *session, int in_fd, int out_fd, int log_fd)
{
    unsigned int timeout_s = DEFAULT_TIMEOUT_S;
    size_t stream_len = sizeof session->stream; /* large, and it has its own init */

    memset((char *)session + stream_len, 0, sizeof *session - stream_len);
    session->log_fd = log_fd;
    smtp_policy_init(&session->policy);
    injection_init(&session->injection);
    session->remote_ip = environment("TCPREMOTEIP", "unknown");
    session->remote_host = environment("TCPREMOTEHOST", "unknown");
    session->remote_info = environment("TCPREMOTEINFO", NULL);
    session->local_host =
        environment("TCPLOCALHOST", environment("TCPLOCALIP", "unknown"));

    bool is_ready = read_timeout(&timeout_s) &&
                    control_read_line_or_me(&session->greeting, "control/smtpgreeting",
                                            "") == CONTROL_FOUND &&
                    session->greeting.len && text_copy(&session->helo, "") &&
                    text_copy(&session->sender, "") &&
                    text_copy(&session->recipients, "");
    smtp_stream_init(&session->stream, in_fd, out_fd, timeout_s);
    if (!is_ready)
        smtp_refuse_and_end(session, SMTP_NO_CONTROL);
    return is_ready;
}

void
smtp_session_free(struct smtp_session *session)
{
    stralloc_free(&session->greeting);
    stralloc_free(&session->helo);
    stralloc_free(&session->sender);
    stralloc_free(&session->recipients);
    stralloc_free(&session->scratch);
    stralloc_free(&session->receipt.text);
    smtp_policy_free(&session->policy);
    injection_free(&session->injection);
}

void
smtp_session_reset(struct smtp_session *session)
{
    session->has_sender = session->is_bad_sender = false;
    session->sender.len = session->recipients.len = 0;
    session->recipient_count = 0;
}

void
smtp_session_abort(struct smtp_session *session)
{
    session->is_over = true;
    session->exit_code = 1;
}

/* Split the line into verb and argument, cut the blanks, call the verb's function. */
static void
serve_line(struct smtp_session *session, char *line, size_t len)
{
    if (memchr(line, '\0', len) || memchr(line, '\r', len)) {
        smtp_refuse(session, SMTP_LINE_HAS_CONTROLS, NULL);
        return;
    }
    while (len && (line[len - 1] == ' ' || line[len - 1] == '\t'))
        line[--len] = '\0';
    size_t verb_len = strcspn(line, " \t");
    char *argument = line + verb_len + strspn(line + verb_len, " \t");

    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        const struct verb *verb = &verbs[i];
        if (verb_len == 4 && strncasecmp(line, verb->name, 4) == 0) {
            session->idle_commands += verb->is_idle;
            verb->serve(session, argument);
            return;
        }
    }
    smtp_refuse(session, SMTP_UNKNOWN, line);
}

/* Stop a client that only costs time. */
static void
check_patience(struct smtp_session *session)
{
    uint64_t limit;
    if (session->is_over)
        return;
    if (session->idle_commands > IDLE_COMMANDS_MAX)
        smtp_refuse_and_end(session, SMTP_TOO_MANY_COMMANDS);
    else if (session->errors && !smtp_policy_max_errors(&session->policy, &limit))
        smtp_refuse_and_end(session, SMTP_NO_CONTROL);
    else if (session->errors && limit && session->errors > limit)
        smtp_refuse_and_end(session, SMTP_TOO_MANY_ERRORS);
}

static void
serve_next(struct smtp_session *session)
{
    char *line;
    size_t len;

    switch (smtp_stream_line(&session->stream, &line, &len)) {
    case SMTP_INPUT_OK:
        serve_line(session, line, len);
        break;
    case SMTP_INPUT_TOO_LONG:
        smtp_refuse(session, SMTP_LINE_TOO_LONG, NULL);
        break;
    case SMTP_INPUT_BARE_LF:
        /* what follows may be meant as data by whoever made the client send it */
        smtp_refuse_and_end(session, SMTP_LINE_ENDS_BADLY);
        break;
    case SMTP_INPUT_TIMEOUT:
        smtp_refuse_and_end(session, SMTP_TIMEOUT);
        break;
    case SMTP_INPUT_CLOSED:
        smtp_session_abort(session);
        break;
    }
    check_patience(session);
}

int
smtp_session_run(struct smtp_session *session)
{
    if (!session->is_over)
        smtp_reply_greeting(session);
    while (!session->is_over)
        serve_next(session);
    if (session->exit_code)
        smtp_stream_close(&session->stream);
    else
        smtp_stream_flush(&session->stream);
    return session->exit_code;
}
