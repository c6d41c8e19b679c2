#ifndef QUEUE_PROGRAM_H
#define QUEUE_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "spool.h"

/* The classic contract of a queue program (QMAILQUEUE): message on descriptor 0, envelope
 * on 1, an optional text from descriptor 6, the exit code decides. */

/* Run program with the finished spool, of which the first message_len bytes are the
 * message and the rest is the envelope. Waits at most deadline_s seconds.
 * text     replaced: at most 255 bytes from descriptor 6
 * pid      set to the program's process id
 * returns  its exit code; QUEUE_EXEC_FAILED; QUEUE_BUG for a signal; QUEUE_TIMEOUT */
unsigned int queue_program_run(const char *program, const struct spool *spool,
                               uint64_t message_len, unsigned int deadline_s,
                               stralloc *text, uint64_t *pid);

#endif
