#include "maildir_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>

#include "text.h"

static void
close_slot(struct maildir_slot *slot)
{
    if (slot->is_open)
        maildir_close(&slot->maildir);
    slot->is_open = false;
    free(slot->names);
    slot->names = NULL;
    slot->name_count = 0;
    slot->knows_names = false;
}

static bool
make_key(stralloc *key, const char *home_path, const char *path)
{
    return text_copy_bytes(key, home_path, strlen(home_path) + 1) &&
           text_append_bytes(key, path, strlen(path) + 1);
}

/* Is directory + name still the inode that we have open? */
static bool
is_same(int home, stralloc *path, size_t len, const char *name, dev_t device, ino_t inode)
{
    struct stat status;
    path->len = len;
    return text_append(path, name) && fstatat(home, path->s, &status, 0) == 0 &&
           status.st_dev == device && status.st_ino == inode;
}

static bool
is_still_there(const struct maildir_slot *slot, int home, const char *path)
{
    stralloc name = STRALLOC_ZERO;
    size_t len = strlen(path);

    bool ok = text_copy(&name, path) &&
              is_same(home, &name, len, "/tmp", slot->device, slot->tmp_inode) &&
              is_same(home, &name, len, "/new", slot->device, slot->new_inode);
    stralloc_free(&name);
    return ok;
}

static bool
open_slot(struct maildir_slot *slot, int home, const char *path)
{
    struct stat tmp, new;

    if (!maildir_open(&slot->maildir, home, path))
        return false;
    slot->is_open = true;
    if (fstat(slot->maildir.tmp, &tmp) < 0 || fstat(slot->maildir.new, &new) < 0) {
        int saved = errno;
        close_slot(slot);
        errno = saved;
        return false;
    }
    slot->device = new.st_dev;
    slot->tmp_inode = tmp.st_ino;
    slot->new_inode = new.st_ino;
    return true;
}

/* The slot with this key, else an unused one, else the one unused for longest; or null */
static struct maildir_slot *
choose_slot(struct maildir_cache *cache, const stralloc *key)
{
    struct maildir_slot *best = NULL;

    for (unsigned int i = 0; i < MAILDIR_CACHE_MAX; i++) {
        struct maildir_slot *slot = &cache->slots[i];
        if (slot->is_open && slot->key.len == key->len &&
            memcmp(slot->key.s, key->s, key->len) == 0)
            return slot;
        bool is_free =
            !slot->is_open || (!slot->users && slot->last_round < cache->round);
        if (is_free &&
            (!best ||
             (best->is_open && (!slot->is_open || slot->last_round < best->last_round))))
            best = slot;
    }
    return best;
}

static struct maildir_slot *
get(struct maildir_cache *cache, int home, const stralloc *key, const char *path)
{
    struct maildir_slot *slot = choose_slot(cache, key);
    if (!slot) {
        errno = EBUSY;
        return NULL;
    }
    bool is_it = slot->is_open && slot->key.len == key->len &&
                 !memcmp(slot->key.s, key->s, key->len);
    if (is_it && (slot->last_round == cache->round || is_still_there(slot, home, path))) {
        slot->last_round = cache->round;
        return slot;
    }
    if (slot->users) { /* the Maildir was replaced while a batch is on its way into it */
        errno = EBUSY;
        return NULL;
    }
    close_slot(slot);
    if (!text_copy_bytes(&slot->key, key->s, key->len) || !open_slot(slot, home, path))
        return NULL;
    slot->last_round = cache->round;
    return slot;
}

struct maildir_slot *
maildir_cache_get(struct maildir_cache *cache, int home, const char *home_path,
                  const char *path)
{
    stralloc key = STRALLOC_ZERO;
    struct maildir_slot *slot = NULL;

    if (make_key(&key, home_path, path))
        slot = get(cache, home, &key, path);
    stralloc_free(&key);
    return slot;
}

enum maildir_presence
maildir_cache_look(struct maildir_slot *slot, const char *name)
{
    if (!slot->knows_names)
        slot->knows_names = maildir_list(&slot->maildir, &slot->names, &slot->name_count);
    if (slot->knows_names && !maildir_list_has(slot->names, slot->name_count, name))
        return MAILDIR_ABSENT;
    return maildir_look(&slot->maildir, name);
}

void
maildir_cache_forget_names(struct maildir_cache *cache)
{
    for (unsigned int i = 0; i < MAILDIR_CACHE_MAX; i++) {
        struct maildir_slot *slot = &cache->slots[i];
        free(slot->names);
        slot->names = NULL;
        slot->name_count = 0;
        slot->knows_names = false;
    }
}

void
maildir_cache_free(struct maildir_cache *cache, int64_t now)
{
    for (unsigned int i = 0; i < MAILDIR_CACHE_MAX; i++) {
        if (cache->slots[i].is_open)
            maildir_sweep(&cache->slots[i].maildir, now);
        close_slot(&cache->slots[i]);
        stralloc_free(&cache->slots[i].key);
    }
}
