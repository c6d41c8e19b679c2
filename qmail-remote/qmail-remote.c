/* qmail-remote: send a message to recipients at one host, by SMTP.
 *
 * usage   qmail-remote host sender recipient...    one message
 *         qmail-remote -S                          a session: jobs from qmail-rspawn
 * stdin   one message, lines ended by LF, a file from its current offset on or a pipe;
 *         with -S a SEQPACKET socket: "job", number, queue id, host, sender, recipient...
 *         with the message come in, "report", number, one K, Z or D text per recipient
 *         go out; EOF ends the session; after 5 idle seconds the connection is given up
 * stdout  recipient reports (r accepted, s temporary, h permanent), as many as
 *         were asked, then one message report (K, Z, D); letter, text, NUL each. Nothing
 *         with -S
 * env     QMAILHOME  the home
 * files   control/me, helohost, smtproutes, timeoutconnect, timeoutremote, outgoingip,
 *         moreipme, notipme; /etc/resolv.conf
 * exit    0 the report tells; 100 usage; 111 with -S: a job or a report was lost;
 *         without: the report could not be written
 * spec    RFC 5321, RFC 1870, RFC 2920, RFC 6152, RFC 7505, RFC 3463
 * libc    glibc
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/stat.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/strerr.h>

#include "die.h"
#include "home.h"
#include "remote.h"
#include "remote_session.h"
#include "text.h"

enum {
    FD_MESSAGE = 0,
    FD_REPORT = 1,
    ARGUMENT_HOST = 1,
    ARGUMENT_SENDER,
    ARGUMENT_RECIPIENTS,
    READ_CHUNK = 64 * 1024,
    PIPE_MAX = 256 * 1024 * 1024, /* bytes of a message that is not in a file */
};

static const char synopsis[] = "qmail-remote host sender recipient... | qmail-remote -S";

static bool
read_pipe(stralloc *message)
{
    for (;;) {
        if (!stralloc_readyplus(message, READ_CHUNK))
            return false;
        ssize_t got = read(FD_MESSAGE, message->s + message->len, READ_CHUNK);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0;
        message->len += (size_t)got;
        if (message->len > PIPE_MAX) {
            errno = EFBIG;
            return false;
        }
    }
}

/* Put the message on descriptor 0 into memory: a file is mapped, anything else goes into
 * storage. */
static bool
read_message(struct remote_job *job, stralloc *storage)
{
    struct stat status;

    off_t offset = lseek(FD_MESSAGE, 0, SEEK_CUR);
    if (offset < 0 || fstat(FD_MESSAGE, &status) < 0 || !S_ISREG(status.st_mode)) {
        bool ok = read_pipe(storage);
        job->message = storage->s ? storage->s : "";
        job->message_len = storage->len;
        return ok;
    }
    job->message = "";
    if (offset >= status.st_size)
        return true;
    char *file =
        mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, FD_MESSAGE, 0);
    if (file == MAP_FAILED)
        return false;
    job->message = file + offset;
    job->message_len = (size_t)(status.st_size - offset);
    return true;
}

/* The classic contract: whatever happens is told on stdout. */
static void
send_one(struct remote *remote, struct remote_job *job)
{
    stralloc out = STRALLOC_ZERO, storage = STRALLOC_ZERO;

    if (remote_prepare(remote, job)) {
        if (!read_message(job, &storage)) {
            if (!remote_report_message(&job->report, 'Z',
                                       "Unable to read message. (#4.3.0)\n"))
                job->report.letter = 'Z';
        } else {
            job->transaction.message = job->message;
            job->transaction.message_len = job->message_len;
            if (remote_send(remote, job))
                remote_finish(remote, job);
        }
    }
    if (!remote_report_append_classic(&out, &job->report) ||
        allwrite(FD_REPORT, out.s, out.len) < out.len)
        die_temp("write", "report");
    stralloc_free(&out);
    stralloc_free(&storage);
    remote_hang_up(remote);
}

static void
run_session(struct remote *remote)
{
    if (!remote_session_run(remote, FD_MESSAGE))
        die_temp("talk to", "qmail-rspawn");
}

int
main(int argc, char *const *argv)
{
    PROG = "qmail-remote";
    struct remote remote = {.client.fd = -1};
    struct remote_job job = {.count = 0};

    bool is_session = argc == 2 && strcmp(argv[1], "-S") == 0;
    if (!is_session && argc <= ARGUMENT_RECIPIENTS)
        die_usage(synopsis);
    if (home_enter())
        remote_init(&remote);
    if (is_session) {
        run_session(&remote);
    } else {
        job.host = argv[ARGUMENT_HOST];
        job.sender = argv[ARGUMENT_SENDER];
        job.recipients = (const char *const *)argv + ARGUMENT_RECIPIENTS;
        job.count = (size_t)(argc - ARGUMENT_RECIPIENTS);
        send_one(&remote, &job);
    }
    remote_job_free(&job);
    remote_free(&remote);
    return 0;
}
