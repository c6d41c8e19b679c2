#ifndef SPOOL_H
#define SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

/* A growing place for bytes on their way into the queue: memory at first, a memfd
 * from HANDOFF_BODY_MAX on, an unlinked file in queue/drop (else in $TMPDIR, else
 * in /tmp) above SPOOL_MEMFD_MAX. Nothing of it has a name, so a killed program
 * leaves nothing behind. */

enum { SPOOL_MEMFD_MAX = 2 * 1024 * 1024 };

struct spool {
    stralloc pending; /* bytes not yet in fd; all of them when fd is -1 */
    int fd;           /* -1: everything is in memory */
    uint64_t len;     /* bytes put so far */
    bool on_disk;     /* private */
};

/* Begin an empty spool; cannot fail. Reusing a struct keeps its memory. Start with
 * {.fd = -1} and the rest zero. */
void spool_reset(struct spool *spool);

/* Append bytes. returns true, or false with errno (ENOSPC, ENOMEM ...): reset it then */
bool spool_put(struct spool *spool, const char *bytes, size_t len);

/* Finish: afterwards all bytes are in pending (fd is -1), or all are in fd, which is
 * sealed against every change if it is a memfd. returns true, or false with errno */
bool spool_finish(struct spool *spool);

/* Read len bytes from offset of a finished spool. returns bytes read (less only at the
 * end), or -1 with errno */
ssize_t spool_read(const struct spool *spool, char *to, size_t len, uint64_t offset);

void spool_free(struct spool *spool);

#endif
