#ifndef SPAWN_JOB_H
#define SPAWN_JOB_H

#include <stdbool.h>

#include "handoff.h"
#include "spawn.h"

/* Jobs as they come from qmail-send: "job", number, queue id, message length,
 * sender, destination, host, recipient..., with the message as body, or the queue
 * file as descriptor. */

/* A line of jobs, oldest first. */
struct spawn_line {
    struct spawn_job *first;
};

/* Make a job of a packet. The message in a queue file is copied to where a delivery
 * process can see the message and nothing else (see message_copy; files in dir).
 * returns  the job; null: no memory, errno is ENOMEM. A job that cannot be done
 *          has a verdict, and if not even its number is readable, number is null:
 *          nobody waits for it. */
struct spawn_job *spawn_job_take(struct handoff *packet, const char *dir);

void spawn_job_free(struct spawn_job *job);

void spawn_line_append(struct spawn_line *line, struct spawn_job *job);

/* Take the oldest job out; null: the line is empty. */
struct spawn_job *spawn_line_take(struct spawn_line *line);

#endif
