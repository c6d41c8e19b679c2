#include "remote.h"

#include <errno.h>
#include <string.h>

#include "clock.h"
#include "dial.h"
#include "smtp_route.h"
#include "text.h"

enum {
    JOB_TIMEOUTS = 3,           /* one job may take so many times timeoutremote ... */
    JOB_BYTES_PER_SECOND = 512, /* ... and its message at this rate */
};

static const char no_memory[] = "Out of memory. (#4.3.0)\n";
static const char bad_config[] = "Unable to read control files. (#4.3.0)\n";
static const char bad_route[] = "A line of control/smtproutes makes no sense. (#4.3.5)\n";

void
remote_init(struct remote *remote)
{
    if (!remote->has_config) {
        remote_config_free(&remote->config);
        remote->has_config = remote_config_read(&remote->config);
    }
    if (!remote->dns)
        remote->dns = dns_open();
}

/* Without memory for the text, the letter alone still tells. */
static bool
report_own(struct remote_job *job, char letter, const char *text)
{
    if (!remote_report_message(&job->report, letter, text))
        job->report.letter = letter;
    return false;
}

static bool
find_way(struct remote *remote, struct remote_job *job)
{
    enum smtp_route_status status =
        smtp_route_find(&remote->config.routes, job->host, &job->relay, &job->port);
    if (status == SMTP_ROUTE_ERROR)
        return report_own(job, 'Z', errno == EINVAL ? bad_route : no_memory);
    if (!text_copy(&job->destination,
                   status == SMTP_ROUTE_FOUND ? job->relay.s : job->host) ||
        !text_append(&job->destination, status == SMTP_ROUTE_FOUND ? " relay:" : ":") ||
        !text_append_number(&job->destination, job->port))
        return report_own(job, 'Z', no_memory);
    text_lower(job->destination.s, job->destination.len);
    return true;
}

bool
remote_prepare(struct remote *remote, struct remote_job *job)
{
    if (!remote_report_reset(&job->report, job->count))
        return report_own(job, 'Z', no_memory);
    remote_init(remote); /* a session outlives the trouble it began with */
    if (!remote->has_config)
        return report_own(job, 'Z', bad_config);
    if (!remote->dns)
        return report_own(job, 'Z', no_memory);
    job->transaction = (struct transaction){
        .client = &remote->client,
        .sender = job->sender,
        .recipients = job->recipients,
        .count = job->count,
        .message = job->message,
        .message_len = job->message_len,
        .report = &job->report,
    };
    return find_way(remote, job);
}

static bool
is_connected_to(const struct remote *remote, const struct remote_job *job)
{
    const struct smtp_client *client = &remote->client;
    return client->fd >= 0 && !client->has_failed && !client->is_closing &&
           strcmp(remote->destination.s, job->destination.s) == 0;
}

static bool
connect_for(struct remote *remote, struct remote_job *job)
{
    const struct dial dial = {.config = &remote->config,
                              .dns = remote->dns,
                              .host = job->host,
                              .relay = job->relay.s,
                              .port = job->port};
    stralloc text = STRALLOC_ZERO;

    remote_hang_up(remote);
    job->transaction.is_begun = false;
    enum dial_status status = dial_host(&remote->client, &dial, &text);
    switch (status) {
    case DIAL_CONNECTED:
        if (!text_copy(&remote->destination, job->destination.s)) {
            remote_hang_up(remote); /* or nobody would know where it leads */
            status = DIAL_NO_MEMORY;
        }
        break;
    case DIAL_TEMPORARY:
    case DIAL_PERMANENT:
        report_own(job, status == DIAL_PERMANENT ? 'D' : 'Z', text.s);
        break;
    case DIAL_NO_MEMORY:
        break;
    }
    if (status == DIAL_NO_MEMORY)
        report_own(job, 'Z', no_memory);
    stralloc_free(&text);
    return status == DIAL_CONNECTED;
}

static void
settle(struct remote *remote, struct remote_job *job, enum transaction_end end)
{
    struct smtp_client *client = &remote->client;
    if (end == TRANSACTION_NO_MEMORY || job->transaction.has_trouble)
        report_own(job, 'Z', no_memory);
    if (client->has_failed || client->is_closing)
        smtp_client_close(client, false);
}

static void
set_deadline(struct remote *remote, const struct remote_job *job)
{
    uint64_t limit_s = (uint64_t)remote->config.io_s * JOB_TIMEOUTS +
                       job->message_len / JOB_BYTES_PER_SECOND;
    remote->client.deadline_ms = clock_monotonic_ms() + (int64_t)limit_s * 1000;
}

/* Forget an attempt whose connection was lost before the message was on its way. */
static bool
start_anew(struct remote_job *job)
{
    struct transaction *transaction = &job->transaction;
    transaction->is_begun = transaction->may_send = false;
    transaction->is_sender_refused = transaction->has_trouble = false;
    transaction->accepted = 0;
    return remote_report_reset(&job->report, job->count);
}

bool
remote_send(struct remote *remote, struct remote_job *job)
{
    enum transaction_end end = TRANSACTION_DONE;
    bool is_reused = is_connected_to(remote, job);

    for (;;) {
        if (!is_reused && !connect_for(remote, job))
            return false;
        set_deadline(remote, job);
        if (!job->transaction.is_begun && !transaction_is_possible(&job->transaction))
            break;
        if (transaction_run(&job->transaction, &end))
            return true;
        if (end != TRANSACTION_LOST || !is_reused)
            break;
        /* the server was tired of an idle connection: nothing of this job is with it */
        is_reused = false;
        if (!start_anew(job))
            end = TRANSACTION_NO_MEMORY;
        if (end == TRANSACTION_NO_MEMORY)
            break;
    }
    settle(remote, job, end);
    return false;
}

void
remote_send_ahead(struct remote *remote, struct remote_job *next)
{
    if (remote->client.has_pipelining && is_connected_to(remote, next) &&
        transaction_is_possible(&next->transaction))
        transaction_begin(&next->transaction);
}

void
remote_finish(struct remote *remote, struct remote_job *job)
{
    settle(remote, job, transaction_finish(&job->transaction));
}

void
remote_hang_up(struct remote *remote)
{
    smtp_client_close(&remote->client, true);
}

void
remote_free(struct remote *remote)
{
    smtp_client_free(&remote->client);
    dns_close(remote->dns);
    remote_config_free(&remote->config);
    stralloc_free(&remote->destination);
}

void
remote_job_free(struct remote_job *job)
{
    remote_report_free(&job->report);
    stralloc_free(&job->relay);
    stralloc_free(&job->destination);
}
