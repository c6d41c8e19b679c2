#ifndef LOCAL_FORWARD_H
#define LOCAL_FORWARD_H

#include <stdbool.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "dot_qmail.h"
#include "local_job.h"
#include "local_result.h"

/* Forwarding by a .qmail file. */

/* Make the envelope sender of forwarded copies, NEWSENDER: the job's own, or the address
 * of the owner file: local-owner@domain, with VERP local-owner-@domain-@[].
 * returns  true, or false with errno (memory) */
bool local_forward_sender(stralloc *sender, const struct local_job *job,
                          enum dot_qmail_owner owner);

/* Do owner files count for this sender? Not for bounces and double bounces. */
bool local_forward_has_owner(const char *sender);

/* Put Delivered-To and the message into the queue.
 * recipients  addresses, each ended by '\0'
 * qp          set to the queue's pid
 * Current directory: the home. returns true, or false with the failure in *result */
bool local_forward_send(const struct local_job *job, const struct local_lines *lines,
                        const char *sender, const stralloc *recipients, uint64_t *qp,
                        struct local_result *result);

#endif
