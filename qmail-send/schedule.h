#ifndef SCHEDULE_H
#define SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* When which message is tried next: a heap of 16 bytes per message. */

enum { SCHEDULE_SKIP_LOCAL = 10, SCHEDULE_SKIP_REMOTE = 20 };

/* What is known of a file. */
enum schedule_mark {
    SCHEDULE_SEEN,
    SCHEDULE_UNSEEN, /* found in the directory: to be checked; it says when it is due */
    SCHEDULE_UNSEEN_DUE, /* to be checked, and due whatever it says */
};

struct schedule_entry {
    uint64_t id;
    uint64_t key; /* private: time and mark */
};

/* All zero is an empty one. */
struct schedule {
    struct schedule_entry *heap;
    size_t count;
    size_t room;
};

/* Add a message. due_s: Unix seconds; of messages due in the same second the smaller id
 * comes first. returns true, or false for lack of memory */
bool schedule_add(struct schedule *schedule, uint64_t id, uint64_t due_s,
                  enum schedule_mark mark);

/* Look at the first one. returns false when there is none */
bool schedule_first(const struct schedule *schedule, uint64_t *id, uint64_t *due_s,
                    enum schedule_mark *mark);

void schedule_remove_first(struct schedule *schedule);

/* Make every message due at time due_s (0: at once), the oldest id first; those that are
 * not checked yet become SCHEDULE_UNSEEN_DUE. */
void schedule_all_due(struct schedule *schedule, uint64_t due_s);

void schedule_free(struct schedule *schedule);

/* The next try after one at now_s: birth + (sqrt(age) + skip)^2, the root rounded down.
 * For a message from the future the age is 0, and it is counted from now. */
uint64_t schedule_retry_time(uint64_t birth_s, uint64_t now_s, uint64_t skip);

#endif
