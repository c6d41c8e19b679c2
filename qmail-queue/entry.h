#ifndef ENTRY_H
#define ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "envelope_check.h"

/* One message on its way into a file of queue/mess: Received line, message, envelope,
 * footer. The file has its final name from the beginning and is locked (flock) as
 * long as it is open, so that whoever finds it incomplete can tell "being written"
 * from "torn by a crash". */

enum {
    ENTRY_RECEIVED_MAX = 128,
    ENTRY_RECORDS_MAX = 96,
};

/* Who hands the message over. */
struct entry_origin {
    uint32_t uid;
    uint32_t pid;
    const char *role; /* "from network", "by alias", "for bounce"; null: "by uid" uid */
};

struct entry {
    uint64_t id;
    uint32_t pid;          /* of who handed it over */
    int file;              /* -1: not open */
    uint64_t message_len;  /* as handed over, without the Received line */
    uint64_t envelope_len; /* as handed over, with its final NUL */
    uint64_t written;      /* bytes of both that are in the file */
    uint32_t crc;
    bool has_header;
    struct envelope_check check;
    uint64_t birth_s;
    char received[ENTRY_RECEIVED_MAX]; /* the line */
    size_t received_len;
    char records[ENTRY_RECORDS_MAX]; /* birth, uid, pid */
    size_t records_len;
};

/* Begin an entry; no file yet. message_len and envelope_len are what will be handed over.
 * returns  QUEUE_OK; QUEUE_BAD_ENVELOPE when the lengths are impossible */
unsigned int entry_begin(struct entry *entry, const struct entry_origin *origin,
                         uint64_t message_len, uint64_t envelope_len);

/* Check the part of the envelope among the next len bytes of message and envelope.
 * Call it for each piece before entry_write for the same piece.
 * returns  QUEUE_OK, QUEUE_ADDRESS_TOO_LONG, QUEUE_BAD_ENVELOPE */
unsigned int entry_check(struct entry *entry, const char *bytes, size_t len);

/* The id for the next message, above *last_id, which is moved up. */
uint64_t entry_next_id(uint64_t *last_id);

/* Make the file, with entry_next_id(); takes the lock.
 * returns  QUEUE_OK, QUEUE_WRITE_ERROR (disk full, read-only, out of descriptors ...),
 *          QUEUE_MESS_TROUBLE (the directory is not as it should be); errno is set */
unsigned int entry_open(struct entry *entry, uint64_t *last_id);

/* Write the next len bytes, and what belongs before and behind them; with the last
 * byte the file is complete (but not yet on the disk). A small message is written
 * by one system call.
 * returns  QUEUE_OK, QUEUE_WRITE_ERROR with errno */
unsigned int entry_write(struct entry *entry, const char *bytes, size_t len);

/* Take the file away again. returns false with errno when it could be neither removed nor
 * emptied, so that a message which was refused may be found in the queue later. */
bool entry_abandon(struct entry *entry);

/* Close the file of an entry that is safe; this unlocks it. */
void entry_close(struct entry *entry);

#endif
