#ifndef REMOTE_H
#define REMOTE_H

#include <stdbool.h>
#include <stddef.h>

#include <skalibs/stralloc.h>

#include "dns.h"
#include "remote_config.h"
#include "remote_report.h"
#include "smtp_client.h"
#include "transaction.h"

/* The state of one qmail-remote: at most one connection, kept from job to job. */
struct remote {
    struct remote_config config;
    bool has_config;
    struct dns *dns;
    struct smtp_client client;
    stralloc destination; /* whom client is connected to: "host:port" */
};

/* One message for one host. */
struct remote_job {
    const char *host;
    const char *sender;
    const char *const *recipients;
    size_t count; /* at least 1 */
    const char *message;
    size_t message_len;
    struct remote_report report; /* filled in; start with all zero */

    struct transaction transaction; /* private from here on */
    stralloc relay, destination;
    uint16_t port;
};

/* Read the control files. After a failure each job tries again, and reports it if it
 * lasts. *remote is all zero before, with client.fd -1. */
void remote_init(struct remote *remote);

/* Get ready: reset the report, find the way. To be called once, before what follows.
 * returns  true, or false when the report is already complete (or there is no memory) */
bool remote_prepare(struct remote *remote, struct remote_job *job);

/* Begin to send, over the living connection if it leads there, else over a new one.
 * returns  true when remote_finish must follow; false: the report is complete */
bool remote_send(struct remote *remote, struct remote_job *job);

/* Between a true remote_send of one job and its remote_finish: put the commands of the
 * next job into the same packet, if it goes to the same server and that is allowed. */
void remote_send_ahead(struct remote *remote, struct remote_job *next);

void remote_finish(struct remote *remote, struct remote_job *job);

/* End the connection, with QUIT. */
void remote_hang_up(struct remote *remote);

void remote_free(struct remote *remote);

void remote_job_free(struct remote_job *job);

#endif
