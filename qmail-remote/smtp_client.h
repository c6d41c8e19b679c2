#ifndef SMTP_CLIENT_H
#define SMTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "remote_reply.h"

/* A connection to an SMTP server: bytes out, replies in, greeting and EHLO. */

enum {
    SMTP_CLIENT_IN = 8192,
    SMTP_CLIENT_OUT = 128 * 1024, /* one write of message content */
};

struct smtp_client {
    int fd; /* -1: not connected; reads and writes have a time limit (connect_to) */
    stralloc peer; /* its address, for reports */
    unsigned int io_s;
    int64_t deadline_ms; /* of clock_monotonic_ms: nothing is waited for any longer */
    bool has_pipelining, has_8bitmime, has_size;
    uint64_t size_max;         /* with has_size; 0: not told */
    bool is_closing;           /* it said 421 */
    bool needs_reset;          /* a transaction is open that will not be used */
    bool has_failed;           /* died, too slow, or talks nonsense: of no use any more */
    const char *reason;        /* why, as a part of a sentence */
    stralloc out;              /* commands that wait for the next flush */
    struct remote_reply reply; /* the last one */
    char in[SMTP_CLIENT_IN];
    size_t in_at, in_len;
};

/* Take over a connected socket. client keeps its memory from the connection before;
 * all zero with fd -1 at first. returns true, or false for lack of memory: the
 * socket is then closed */
bool smtp_client_start(struct smtp_client *client, int fd, const char *peer,
                       unsigned int io_s);

/* Append text, or a number, to what waits for the next flush. Lack of memory makes the
 * client fail, as a dead connection does. */
void smtp_client_put(struct smtp_client *client, const char *text);
void smtp_client_put_number(struct smtp_client *client, uint64_t number);

/* Give the connection up; the first reason stays. */
void smtp_client_fail(struct smtp_client *client, const char *reason);

/* Write what waits. returns true, or false: has_failed. So do all that follow. */
bool smtp_client_flush(struct smtp_client *client);

/* Write what waits, then the message in its wire form and the final dot. Its last piece
 * waits for a flush, so that more can travel in the same packet. */
bool smtp_client_send_message(struct smtp_client *client, const char *message,
                              size_t len);

/* Read the next reply into client->reply. */
bool smtp_client_read_reply(struct smtp_client *client);

/* After a failed write the server may have said why: read a reply already there. */
bool smtp_client_read_last_words(struct smtp_client *client);

enum smtp_greeting {
    SMTP_GREETING_OK,
    SMTP_GREETING_REFUSED, /* client->reply tells: try another server */
    SMTP_GREETING_FAILED,  /* client->reason tells: try another server */
};

/* Read the greeting; say EHLO, or HELO to a server that knows no better. */
enum smtp_greeting smtp_client_greet(struct smtp_client *client, const char *helohost);

/* Close the connection; politely: send QUIT and wait a moment for its reply. */
void smtp_client_close(struct smtp_client *client, bool politely);

void smtp_client_free(struct smtp_client *client);

#endif
