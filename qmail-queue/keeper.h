#ifndef KEEPER_H
#define KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include <sys/types.h>

/* A helper process for all that is slow and touches what strangers have written: at start it
 * verifies the files whose writing a crash may have torn, then it takes in queue/drop, now and
 * again. It hands over like a client: strings "drop", length of the message, length of the
 * envelope, uid, pid, and the file; and once "settled", when everything has been verified. */

struct keeper {
    int socket; /* non-blocking */
    pid_t pid;
};

/* Fork the helper.
 * settled  ids below are known to be safe or gone
 * started  ids from here on belong to this qmail-queued
 * returns  true, or false with errno */
bool keeper_start(struct keeper *keeper, uint64_t settled, uint64_t started);

#endif
