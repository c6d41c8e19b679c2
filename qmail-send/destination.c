#include "destination.h"

#include <stdlib.h>
#include <string.h>

#include <sys/random.h>

#include "keyed_hash.h"

enum { FIRST_SIZE = 256, FAILURES_MAX = 1000 };

bool
destination_table_init(struct destination_table *table)
{
    *table = (struct destination_table){.size = FIRST_SIZE};
    table->buckets = calloc(FIRST_SIZE, sizeof(struct destination *));
    if (!table->buckets)
        return false;
    return getrandom(table->key, sizeof table->key, 0) == (ssize_t)sizeof table->key;
}

uint64_t
destination_hash(const struct destination_table *table, bool is_local, const char *name)
{
    uint64_t key[2] = {table->key[0], table->key[1] ^ (is_local ? 1 : 0)};
    return keyed_hash(key, name, strlen(name));
}

static struct destination **
bucket_of(const struct destination_table *table, uint64_t hash)
{
    return &table->buckets[hash & (table->size - 1)];
}

struct destination *
destination_find(const struct destination_table *table, uint64_t hash)
{
    struct destination *found = *bucket_of(table, hash);
    while (found && found->hash != hash)
        found = found->chain;
    return found;
}

/* Twice the buckets; without memory the chains grow longer, which is no error. */
static void
grow(struct destination_table *table)
{
    struct destination_table bigger = *table;
    bigger.size = table->size * 2;
    bigger.buckets = calloc(bigger.size, sizeof(struct destination *));
    if (!bigger.buckets)
        return;
    for (size_t i = 0; i < table->size; i++)
        while (table->buckets[i]) {
            struct destination *moved = table->buckets[i];
            table->buckets[i] = moved->chain;
            moved->chain = *bucket_of(&bigger, moved->hash);
            *bucket_of(&bigger, moved->hash) = moved;
        }
    free(table->buckets);
    *table = bigger;
}

struct destination *
destination_get(struct destination_table *table, uint64_t hash, bool is_local,
                const char *name)
{
    struct destination *found = destination_find(table, hash);
    if (found)
        return found;
    found = calloc(1, sizeof *found);
    if (!found)
        return NULL;
    found->name = strdup(name);
    if (!found->name) {
        free(found);
        return NULL;
    }
    found->hash = hash;
    found->is_local = is_local;
    if (table->count == table->size)
        grow(table);
    found->chain = *bucket_of(table, hash);
    *bucket_of(table, hash) = found;
    table->count++;
    return found;
}

bool
destination_is_paused(const struct destination *destination, uint64_t now_s)
{
    /* a pause longer than the longest one is left from a clock that was set back */
    return destination->retry_s > now_s &&
           destination->retry_s - now_s <= DESTINATION_LAST_PAUSE_S;
}

bool
destination_may_start(const struct destination *destination, uint64_t limit,
                      uint64_t now_s)
{
    if (destination_is_paused(destination, now_s))
        return false;
    return destination->running < (destination->failures ? 1 : limit);
}

static uint64_t
pause_after(unsigned int failures)
{
    uint64_t pause_s = DESTINATION_FIRST_PAUSE_S;
    while (--failures && pause_s < DESTINATION_LAST_PAUSE_S)
        pause_s *= 2;
    return pause_s < DESTINATION_LAST_PAUSE_S ? pause_s : DESTINATION_LAST_PAUSE_S;
}

/* Of all the times that are planned for a destination only the last one counts. */
static bool
plan_wake(struct destination_table *table, struct destination *destination, uint64_t at_s)
{
    if (!schedule_add(&table->wake, destination->hash, at_s, SCHEDULE_SEEN))
        return false;
    destination->wake_s = at_s;
    return true;
}

bool
destination_fail(struct destination_table *table, struct destination *destination,
                 uint64_t now_s, const char *text)
{
    if (destination_is_paused(destination, now_s))
        return false;
    uint64_t retry_s = now_s + pause_after(destination->failures + 1);
    if (!plan_wake(table, destination, retry_s))
        return false;
    if (destination->failures < FAILURES_MAX)
        destination->failures++;
    destination->failed_s = now_s;
    destination->retry_s = retry_s;
    free(destination->last_failure);
    destination->last_failure = strdup(text);
    return true;
}

void
destination_succeed(struct destination *destination)
{
    destination->failures = 0;
    destination->retry_s = 0;
    free(destination->last_failure);
    destination->last_failure = NULL;
}

struct destination *
destination_wake(struct destination_table *table, uint64_t now_s)
{
    uint64_t hash, due_s;
    enum schedule_mark unused;
    while (schedule_first(&table->wake, &hash, &due_s, &unused) && due_s <= now_s) {
        schedule_remove_first(&table->wake);
        struct destination *woken = destination_find(table, hash);
        if (!woken || due_s != woken->wake_s)
            continue;
        woken->wake_s = 0;
        if (destination_is_paused(woken, now_s))
            continue;
        if (!woken->failures) {
            (void)destination_release(table, woken);
            continue;
        }
        if (woken->waiting.count || woken->running) {
            /* to be forgotten later, should no job tell anything more of it */
            uint64_t again_s = now_s + pause_after(woken->failures);
            (void)plan_wake(table, woken, again_s);
            return woken;
        }
        /* nobody needs it; for as long again a failure would count as the next one */
        uint64_t forget_s = woken->retry_s + pause_after(woken->failures);
        if (now_s >= forget_s || !plan_wake(table, woken, forget_s)) {
            destination_succeed(woken);
            (void)destination_release(table, woken);
        }
    }
    return NULL;
}

static void
destroy(struct destination *destination)
{
    id_queue_free(&destination->waiting);
    free(destination->last_failure);
    free(destination->name);
    free(destination);
}

bool
destination_release(struct destination_table *table, struct destination *destination)
{
    if (destination->waiting.count || destination->running || destination->failures ||
        destination->is_ready)
        return false;
    struct destination **link = bucket_of(table, destination->hash);
    while (*link != destination)
        link = &(*link)->chain;
    *link = destination->chain;
    table->count--;
    destroy(destination);
    return true;
}

void
destination_table_free(struct destination_table *table)
{
    for (size_t i = 0; i < table->size; i++)
        while (table->buckets[i]) {
            struct destination *gone = table->buckets[i];
            table->buckets[i] = gone->chain;
            destroy(gone);
        }
    free(table->buckets);
    schedule_free(&table->wake);
    *table = (struct destination_table){0};
}
