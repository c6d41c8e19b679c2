#ifndef MAILDIR_H
#define MAILDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

#include <skalibs/stralloc.h>

#include "local_job.h"

/* One Maildir: files are written in tmp/, flushed, and then get their place in new/.
 *
 * A file's name has three fields: seconds, the delivery, the host. For a message of the
 * queue it depends on nothing but message, recipient and the line of the .qmail file:
 * "1763635154.Q1763635154123456R0123456789abcdef.host". A delivery repeated after a crash
 * makes the same name, so it finds the file of the first time in new/ and is done. */

/* Files in tmp/ that nobody touched for so long go. */
enum { MAILDIR_UNUSED_S = 36 * 3600 };

struct maildir {
    int base; /* O_PATH */
    int tmp;
    int new;
};

enum maildir_publish_status {
    MAILDIR_PUBLISHED,
    MAILDIR_WAS_THERE, /* an earlier delivery of the same job did it */
    MAILDIR_PUBLISH_ERROR,
};

/* Open path, relative to the directory home. returns true, or false with errno */
bool maildir_open(struct maildir *maildir, int home, const char *path);
void maildir_close(struct maildir *maildir);

/* Make the name of the file. path: the line of the .qmail file; nth: how many lines with
 * the same path there were before. returns true, or false with errno */
bool maildir_make_name(stralloc *name, const struct local_job *job, const char *path,
                       unsigned int nth);

/* How many of the paths in list, each ended by '\0', are path? */
unsigned int maildir_count_path(const stralloc *list, const char *path);

/* Write Return-Path, Delivered-To and the message into a new file tmp/name.
 * returns  its descriptor, or -1 with errno: we have left none. EEXIST: another has */
int maildir_write(const struct maildir *maildir, const char *name,
                  const struct local_lines *lines, const struct message *message);

/* The same with a name that no other living process uses: *own gets a suffix for that. */
int maildir_write_own(const struct maildir *maildir, stralloc *own,
                      const struct local_lines *lines, const struct message *message);

/* Move tmp/temporary, which is flushed, to new/name, or remove it if there is such a
 * file. new/ is to be flushed afterwards. On an error (errno) tmp/temporary is gone. */
enum maildir_publish_status maildir_publish(const struct maildir *maildir,
                                            const char *temporary, const char *name);

enum maildir_presence {
    MAILDIR_UNREADABLE, /* errno */
    MAILDIR_ABSENT,
    MAILDIR_PRESENT,
};

/* Is a file called name, perhaps with flags after ':', in new/ or cur/? Reads both. */
enum maildir_presence maildir_look(const struct maildir *maildir, const char *name);

/* List what is in new/ and cur/, as sorted hashes of the names without flags: who is not
 * in the list is not there (but for what comes later); who is may be there.
 * returns  true: *hashes is count numbers, to be freed; false with errno */
bool maildir_list(const struct maildir *maildir, uint64_t **hashes, size_t *count);
bool maildir_list_has(const uint64_t *hashes, size_t count, const char *name);

/* Remove from tmp/ what nobody has touched for MAILDIR_UNUSED_S. now: Unix time */
void maildir_sweep(const struct maildir *maildir, int64_t now);

#endif
