#ifndef INJECTION_H
#define INJECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "exitcode.h"
#include "handoff.h"
#include "spool.h"

/* A message on its way into the queue: the client side of qmail-queued and of QMAILQUEUE.
 * Every program that injects uses this module. Current directory: the home.
 *
 * The handoff to queue/inject: strings "queue", length of the message, length of the
 * envelope (decimal); then message and envelope one after the other, as body or as one
 * descriptor. The answer: strings "0", queue id, pid; or a code of enum queue_code and
 * a reason. The envelope is qmail-queue's: "F" sender NUL { "T" recipient NUL } NUL. */

enum {
    INJECTION_ADDRESS_MAX = 1002, /* bytes of one envelope address, as in qmail-queue */
    INJECTION_DEADLINE_S = 300,   /* for the whole talk with the queue */
};

struct injection {
    struct spool spool;
    uint64_t message_len;  /* set when the envelope begins */
    int socket;            /* to qmail-queued, kept for the next message; -1 */
    const char *program;   /* QMAILQUEUE, or null */
    const char *fallback;  /* run when nobody listens at queue/inject, or null */
    struct handoff answer; /* private: memory to reuse */
    unsigned int error;    /* enum queue_code of the first failure since start, else 0 */
};

struct injection_receipt {
    unsigned int code; /* enum queue_code, or what the QMAILQUEUE program exited with */
    uint64_t id;       /* queue id; 0 when a program took the message */
    uint64_t pid;      /* "qp": who put it into the queue */
    stralloc text;     /* code 82: what descriptor 6 said, first letter D or Z included */
};

/* Make *injection ready for use, once per process; reads QMAILQUEUE. */
void injection_init(struct injection *injection);

/* The same for a local user's program: while qmail-queued is down, bin/qmail-queue takes
 * the message and leaves it in queue/drop. */
void injection_init_local(struct injection *injection);

/* Begin a message. What was begun before is forgotten. */
void injection_start(struct injection *injection);

/* Add message bytes (LF line ends), then the sender, then each recipient, raw addresses.
 * returns  true; false: injection->error is set and stays; go on or stop, commit tells */
bool injection_put(struct injection *injection, const char *bytes, size_t len);
bool injection_sender(struct injection *injection, const char *address);
bool injection_recipient(struct injection *injection, const char *address);

/* Hand the message over and wait until it is safely queued or refused.
 * receipt  filled in every case; start with zeros, text is reused, freed by the caller
 * returns  receipt->code == QUEUE_OK */
bool injection_commit(struct injection *injection, struct injection_receipt *receipt);

/* The same in two steps, for an event loop; not with QMAILQUEUE. After a true _submit,
 * poll injection->socket for reading, then _collect. _submit false: receipt tells why. */
bool injection_submit(struct injection *injection, struct injection_receipt *receipt);
bool injection_collect(struct injection *injection, struct injection_receipt *receipt);

/* Why a message was not queued, as a sentence for people with an enhanced status
 * code at its end or, for QUEUE_CUSTOM, what the program said; and whether for
 * good (exit code 100). */
const char *injection_reason(const struct injection_receipt *receipt);
bool injection_is_permanent(const struct injection_receipt *receipt);

/* Forget the message begun, the connection is kept; close everything. */
void injection_abandon(struct injection *injection);
void injection_free(struct injection *injection);

#endif
