#ifndef TAKING_H
#define TAKING_H

#include <stdbool.h>
#include <stdint.h>

#include "drop_take.h"

/* A file of queue/taking: a message on its way from queue/drop to queue/mess, as
 * the head of drop_take.c says. Its name is the id of the message, a dot, and its
 * name in queue/drop. */

enum { TAKING_PATH_MAX = 300 /* "queue/taking/" and a name of at most 255 */ };

struct taking {
    uint64_t id;
    int fd; /* open and locked; -1 */
    char path[TAKING_PATH_MAX];
    char drop_path[TAKING_PATH_MAX]; /* what it is made of */
};

/* Set the paths, from the id and the name in queue/drop. */
void taking_name(struct taking *taking, const char *name);

/* Set id and paths from a name in queue/taking. returns false: it is none of ours */
bool taking_parse_name(struct taking *taking, const char *name);

/* An id that no other message gets. */
uint64_t taking_ask_id(struct drop_take *take);

enum taking_presence {
    TAKING_NO,
    TAKING_YES,
    TAKING_UNKNOWN, /* errno tells */
};

/* Is the file in queue/drop still there? */
enum taking_presence taking_find_drop(const struct taking *taking);

/* Remove the file. returns true when it is gone; false, and that has been logged */
bool taking_discard(const struct taking *taking);

/* All that comes after the removal in queue/drop: flush it, move the file to queue/mess,
 * flush that, close the file, have qmail-send hear of it.
 * taking   complete and on the disk; its fd open and locked
 * returns  true; false, and that has been logged: the next round goes on with it */
bool taking_enter_queue(struct drop_take *take, struct taking *taking);

#endif
