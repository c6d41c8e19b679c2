#ifndef SCHEDULE_H
#define SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* When which message is tried next: a heap of 16 bytes per message. */

enum { SCHEDULE_SKIP_LOCAL = 10, SCHEDULE_SKIP_REMOTE = 20 };

struct schedule_entry {
    uint64_t id;
    uint64_t key; /* private: time and is_unseen */
};

/* All zero is an empty one. */
struct schedule {
    struct schedule_entry *heap;
    size_t count;
    size_t room;
};

/* Add a message. due_s: Unix seconds; of messages due in the same second the smaller id
 * comes first. is_unseen  the file has not been checked yet: found in the directory
 * returns  true, or false for lack of memory */
bool schedule_add(struct schedule *schedule, uint64_t id, uint64_t due_s, bool is_unseen);

/* Look at the first one. returns false when there is none */
bool schedule_first(const struct schedule *schedule, uint64_t *id, uint64_t *due_s,
                    bool *is_unseen);

void schedule_remove_first(struct schedule *schedule);

/* Make every message due at time due_s (0: at once), the oldest id first. */
void schedule_all_due(struct schedule *schedule, uint64_t due_s);

void schedule_free(struct schedule *schedule);

/* The next try after one at now_s: birth + (sqrt(age) + skip)^2, the root rounded down.
 * For a message from the future the age is 0, and it is counted from now. */
uint64_t schedule_retry_time(uint64_t birth_s, uint64_t now_s, uint64_t skip);

#endif
