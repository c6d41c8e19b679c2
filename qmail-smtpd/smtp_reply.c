#include "smtp_reply.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "exitcode.h"
#include "text.h"

enum { LOG_SUBJECT_MAX = 300 };

/* Codes: RFC 5321 4.2.2, RFC 3463, RFC 5248. */
static const char *const words[] = {
    [SMTP_BYE] = "221 2.0.0 closing connection\r\n",
    [SMTP_HELP] = "214 2.0.0 qmail-smtpd of Pennypost; see RFC 5321\r\n",
    [SMTP_OK] = "250 2.0.0 ok\r\n",
    [SMTP_OK_RESET] = "250 2.0.0 flushed\r\n",
    [SMTP_OK_SENDER] = "250 2.1.0 ok\r\n",
    [SMTP_OK_RECIPIENT] = "250 2.1.5 ok\r\n",
    [SMTP_GO_AHEAD] = "354 go ahead\r\n",
    [SMTP_CANNOT_VERIFY] = "252 2.5.0 cannot verify it, but will try to deliver\r\n",
    [SMTP_TIMEOUT] = "451 4.4.2 timeout\r\n",
    [SMTP_NO_MEMORY] = "421 4.3.0 out of memory\r\n",
    [SMTP_NO_CONTROL] = "421 4.3.0 unable to read controls\r\n",
    [SMTP_TOO_MANY_ERRORS] = "421 4.7.0 too many errors, closing connection\r\n",
    [SMTP_TOO_MANY_COMMANDS] = "421 4.7.0 too many commands without mail\r\n",
    [SMTP_TOO_MANY_RECIPIENTS] = "452 4.5.3 too many recipients, send them later\r\n",
    [SMTP_UNKNOWN] = "500 5.5.1 unknown command\r\n",
    [SMTP_LINE_TOO_LONG] = "500 5.5.2 line too long\r\n",
    [SMTP_LINE_ENDS_BADLY] =
        "500 5.5.2 a line must end with CR LF, closing connection\r\n",
    [SMTP_LINE_HAS_CONTROLS] = "500 5.5.2 a CR or NUL stands inside the line\r\n",
    [SMTP_HELO_SYNTAX] = "501 a host name is wanted\r\n",
    [SMTP_SYNTAX] = "501 5.5.4 no argument is allowed here\r\n",
    [SMTP_MAIL_SYNTAX] = "501 5.5.4 syntax: MAIL FROM:<address>\r\n",
    [SMTP_RCPT_SYNTAX] = "501 5.5.4 syntax: RCPT TO:<address>\r\n",
    [SMTP_BAD_SENDER_ADDRESS] = "501 5.1.7 the sender's address is malformed\r\n",
    [SMTP_BAD_RECIPIENT_ADDRESS] = "501 5.1.3 the recipient's address is malformed\r\n",
    [SMTP_NOT_ASCII] = "553 5.6.7 addresses outside ASCII are not accepted here\r\n",
    [SMTP_BAD_VALUE] = "501 5.5.4 a parameter has a malformed value\r\n",
    [SMTP_NOT_IMPLEMENTED] = "502 5.5.1 not implemented\r\n",
    [SMTP_MAIL_TWICE] = "503 5.5.1 there is a sender already\r\n",
    [SMTP_WANT_MAIL] = "503 5.5.1 MAIL first\r\n",
    [SMTP_WANT_RCPT] = "503 5.5.1 RCPT first\r\n",
    [SMTP_TOO_BIG] = "552 5.3.4 sorry, that message is over the databytes limit\r\n",
    [SMTP_BAD_MAIL_FROM] =
        "553 5.7.1 sorry, your envelope sender is in the badmailfrom list\r\n",
    [SMTP_NO_RELAY] =
        "553 5.7.1 sorry, that domain is not in the list of allowed rcpthosts\r\n",
    [SMTP_LOOP] = "554 5.4.6 too many hops, this message is looping\r\n",
    [SMTP_BARE_LINE_END] =
        "554 5.6.11 the message holds a bare CR or LF, closing connection\r\n",
    [SMTP_BAD_PARAMETER] = "555 5.5.4 unknown parameter\r\n",
};

static void
put(struct smtp_session *session, const char *text)
{
    smtp_stream_put(&session->stream, text, strlen(text));
}

static void
put_number(struct smtp_session *session, uint64_t number)
{
    session->scratch.len = 0;
    if (text_append_number(&session->scratch, number))
        put(session, session->scratch.s);
    else
        session->stream.is_broken = true;
}

/* One line: who, what the client was told, about what. Where the log cannot be written
 * mail goes on. reply is one line, "\r\n" at its end. */
static void
log_refusal(struct smtp_session *session, const char *reply, const char *subject)
{
    stralloc *line = &session->scratch;
    bool ok = text_copy(line, "qmail-smtpd: ") &&
              text_append_safe(line, session->remote_ip, strlen(session->remote_ip), 1) &&
              text_append(line, ": ") &&
              text_append_safe(line, reply, strcspn(reply, "\r"), 0);
    if (ok && session->has_sender)
        ok = text_append(line, ": from <") &&
             text_append_safe(line, session->sender.s, session->sender.len, 1) &&
             text_append(line, ">");
    if (ok && subject)
        ok = text_append(line, ": ") &&
             text_append_safe(line, subject, strnlen(subject, LOG_SUBJECT_MAX), 0);
    if (ok && text_append(line, "\n") && write(session->log_fd, line->s, line->len) < 0)
        line->len = 0;
}

enum smtp_reply
smtp_reply_for_path(enum address_status status, enum smtp_reply bad)
{
    switch (status) {
    case ADDRESS_OK:
        return SMTP_OK;
    case ADDRESS_NOT_ASCII:
        return SMTP_NOT_ASCII;
    case ADDRESS_NO_MEMORY:
        return SMTP_NO_MEMORY;
    case ADDRESS_BAD:
    case ADDRESS_TOO_LONG:
        break;
    }
    return bad;
}

void
smtp_reply(struct smtp_session *session, enum smtp_reply reply)
{
    put(session, words[reply]);
}

void
smtp_refuse(struct smtp_session *session, enum smtp_reply reply, const char *subject)
{
    session->errors++;
    put(session, words[reply]);
    log_refusal(session, words[reply], subject);
}

void
smtp_refuse_and_end(struct smtp_session *session, enum smtp_reply reply)
{
    smtp_refuse(session, reply, NULL);
    smtp_session_abort(session);
}

void
smtp_reply_greeting(struct smtp_session *session)
{
    put(session, "220 ");
    put(session, session->greeting.s);
    put(session, " ESMTP\r\n");
}

void
smtp_reply_helo(struct smtp_session *session)
{
    put(session, "250 ");
    put(session, session->greeting.s);
    put(session, "\r\n");
}

void
smtp_reply_ehlo(struct smtp_session *session, uint64_t databytes)
{
    put(session, "250-");
    put(session, session->greeting.s);
    put(session, "\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE ");
    put_number(session, databytes); /* 0: no limit, RFC 1870 4 */
    put(session, "\r\n250 ENHANCEDSTATUSCODES\r\n");
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The length of an enhanced status code of this class at the start of text, else 0. */
static size_t
status_len(const char *text, char class)
{
    size_t at = 1;
    if (*text != class)
        return 0;
    for (int part = 0; part < 2; part++) {
        size_t digits = 0;
        if (text[at++] != '.')
            return 0;
        while (digits < 3 && is_digit(text[at + digits]))
            digits++;
        if (!digits)
            return 0;
        at += digits;
    }
    return is_digit(text[at]) || text[at] == '.' ? 0 : at;
}

/* The length of text without blanks and line ends at its end. */
static size_t
trimmed_len(const char *text, size_t len)
{
    while (len && strchr(" \t\r\n", text[len - 1]))
        len--;
    return len;
}

/* Make "554 5.7.1 text" of a text that has its status in front, behind as "(#5.7.1)", or
 * nowhere.
 * otherwise  the status in the last case */
static bool
make_refusal(stralloc *out, const char *code, const char *text, const char *otherwise)
{
    const char *behind = strstr(text, "(#");
    size_t len = behind ? status_len(behind + 2, *code) : 0;

    if (!text_copy(out, code) || !text_append(out, " "))
        return false;
    if (len && behind[2 + len] == ')') {
        size_t text_len = trimmed_len(text, (size_t)(behind - text));
        return text_append_bytes(out, behind + 2, len) && text_append(out, " ") &&
               text_append_safe(out, text, text_len, false);
    }
    if (!status_len(text, *code))
        if (!text_append(out, otherwise) || !text_append(out, " "))
            return false;
    return text_append_safe(out, text, trimmed_len(text, strlen(text)), false);
}

static bool
make_queue_refusal(stralloc *out, const struct injection_receipt *receipt)
{
    char letter = receipt->text.len > 2 ? receipt->text.s[0] : '\0'; /* as in notqmail */
    if (receipt->code == QUEUE_CUSTOM && letter == 'D')
        return make_refusal(out, "554", receipt->text.s + 1, "5.3.0");
    if (receipt->code == QUEUE_CUSTOM && letter == 'Z')
        return make_refusal(out, "451", receipt->text.s + 1, "4.3.0");
    return make_refusal(out, exitcode_queue_is_permanent(receipt->code) ? "554" : "451",
                        exitcode_queue_text(receipt->code),
                        exitcode_queue_status(receipt->code));
}

void
smtp_reply_queued(struct smtp_session *session)
{
    const struct injection_receipt *receipt = &session->receipt;
    if (receipt->code == QUEUE_OK) {
        put(session, "250 2.0.0 ok ");
        put_number(session, (uint64_t)time(NULL));
        put(session, " qp ");
        put_number(session, receipt->pid);
        if (receipt->id) {
            put(session, " id ");
            put_number(session, receipt->id);
        }
        put(session, "\r\n");
        return;
    }
    stralloc reply = STRALLOC_ZERO;
    session->errors++;
    if (!make_queue_refusal(&reply, receipt) || !text_append(&reply, "\r\n")) {
        smtp_refuse_and_end(session, SMTP_NO_MEMORY);
    } else {
        put(session, reply.s);
        log_refusal(session, reply.s, NULL);
    }
    stralloc_free(&reply);
}
