#ifndef KEEPER_H
#define KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include <sys/types.h>

struct server_options;

/* A helper process for all that is slow and touches what strangers have written: at start
 * it verifies the files whose writing a crash may have torn, then it takes in queue/drop,
 * now and again (drop_take.h), and at once when asked. It says "settled" when everything
 * has been verified. */

struct keeper {
    int socket; /* non-blocking */
    int look;   /* an eventfd; -1: none */
    pid_t pid;
};

struct keeper_task {
    const struct server_options *options;
    uint64_t mount;   /* of the queue */
    uint64_t settled; /* ids below are known to be safe or gone */
    uint64_t started; /* ids from here on belong to this qmail-queued */
};

/* Fork the helper.
 * returns  true, or false with errno */
bool keeper_start(struct keeper *keeper, const struct keeper_task *task);

/* Have it look into queue/drop now, or as soon as it has done what it is doing. */
void keeper_look(const struct keeper *keeper);

/* It has ended, or could not be started. */
void keeper_forget(struct keeper *keeper);

#endif
