#ifndef MAILDIR_CACHE_H
#define MAILDIR_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "maildir.h"

/* Open Maildirs, kept from one batch to the next. */

enum { MAILDIR_CACHE_MAX = 64 }; /* three descriptors each */

struct maildir_slot {
    stralloc key; /* home NUL path NUL */
    bool is_open;
    struct maildir maildir;
    dev_t device; /* of tmp/ and new/: to see whether they are still those of the path */
    ino_t tmp_inode, new_inode;
    unsigned int users;  /* files of batches that need it open */
    uint64_t last_round; /* when it was last used */
    bool knows_names;    /* names below are those in new/ and cur/ */
    uint64_t *names;     /* sorted hashes */
    size_t name_count;
};

struct maildir_cache {
    struct maildir_slot slots[MAILDIR_CACHE_MAX];
    uint64_t round; /* counted up by the owner: a slot is checked once a round */
};

/* Give the Maildir path (relative to the open directory home, whose name is home_path)
 * out of the cache, or open it.
 * returns  the slot, which stays open while it has users and for this round; or null with
 *          errno. EBUSY: all slots are in use, finish the batches and ask again */
struct maildir_slot *maildir_cache_get(struct maildir_cache *cache, int home,
                                       const char *home_path, const char *path);

/* As maildir_look(), by a list of names that was made when this was first asked. */
enum maildir_presence maildir_cache_look(struct maildir_slot *slot, const char *name);

/* Forget all lists of names, because something was delivered that may be tried again. */
void maildir_cache_forget_names(struct maildir_cache *cache);

/* Remove old files from every tmp/, close all. now: Unix time */
void maildir_cache_free(struct maildir_cache *cache, int64_t now);

#endif
