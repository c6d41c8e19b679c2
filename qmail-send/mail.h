#ifndef MAIL_H
#define MAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "config.h"
#include "destination.h"
#include "queue_file.h"
#include "route.h"

/* A queued message while it is being worked on. One pass: each recipient is tried once, or
 * skipped because its destination pauses. */

enum recipient_state {
    RECIPIENT_WAITING,
    RECIPIENT_RUNNING,
    RECIPIENT_DONE,     /* also on disk, unless it was the last one */
    RECIPIENT_DEFERRED, /* tried in this pass, to be tried again */
    RECIPIENT_SKIPPED,  /* not tried: its destination pauses */
    RECIPIENT_FAILED,   /* for good; marked on disk when the bounce is in the queue */
};

struct mail_recipient {
    uint64_t destination; /* destination_hash() */
    uint32_t offset;      /* of its record in the envelope */
    uint8_t state;        /* enum recipient_state */
    bool is_local;
};

/* The recipients at one destination: recipients[next] is the first not yet started. */
struct mail_group {
    uint32_t next;
    uint32_t end;
};

struct mail {
    uint64_t id;
    uint64_t birth_s;
    uint64_t uid;
    uint64_t qp;
    struct queue_file file;
    struct mail_recipient *recipients; /* those that are not done, by destination */
    uint32_t recipient_count;
    struct mail_group *groups;
    uint32_t group_count;
    uint32_t
        group_next;   /* the first group that has not been put before its destination */
    uint32_t posted;  /* groups that wait before their destinations */
    uint32_t running; /* jobs */
    uint32_t undone;  /* recipients that are not RECIPIENT_DONE */
    uint64_t skipped_until_s; /* when the first skipped recipient may be tried */
    stralloc failures;        /* paragraphs of the bounce */
    bool is_tried;            /* a recipient has failed or been deferred in this pass */
    bool is_expired;          /* older than queuelifetime: temporary failures are final */
    bool is_bouncing;         /* the pass is over, its bounce is on the way */
    bool is_touched;
    struct mail *next_touched;
    struct mail *next; /* where it waits: of the bounces */
    struct mail *chain;
};

enum { MAIL_BUCKETS = 4096 };

/* The messages being worked on. All zero is an empty one. */
struct mail_table {
    struct mail *buckets[MAIL_BUCKETS];
    size_t count;
    size_t bytes; /* of all envelopes and indexes */
};

enum mail_status {
    MAIL_OK,
    MAIL_GONE,  /* there is no such file */
    MAIL_BUSY,  /* being written by qmail-queued: it will tell */
    MAIL_BAD,   /* no message: set aside */
    MAIL_ERROR, /* errno tells: try again later */
};

/* Read queue/mess/<split>/<id> into a new *mail.
 * bytes    see queue_file_read_whole(): message and all, if small */
enum mail_status mail_read(struct mail **mail, uint64_t id, stralloc *bytes);

struct mail_check {
    uint64_t next_try_s;
    uint64_t bytes; /* the size of the file */
};

/* Check a file found in the directory, checksum and all, and find when it is due. */
enum mail_status mail_check(uint64_t id, struct mail_check *found, stralloc *scratch);

/* Find where each recipient goes. returns true, or false with errno */
bool mail_make_groups(struct mail *mail, const struct config *config,
                      const struct destination_table *destinations, struct route *route);

const char *mail_sender(const struct mail *mail);
const char *mail_recipient(const struct mail *mail, uint32_t index);

/* The group of this destination, or null. */
struct mail_group *mail_find_group(const struct mail *mail, uint64_t destination);

/* Write to the file: recipients first..first+count-1 that are in this state become done. */
bool mail_write_done(struct mail *mail, uint32_t first, uint32_t count,
                     enum recipient_state state);

/* Write the header with next try and tries. returns true, or false with errno */
bool mail_write_header(const struct mail *mail);

/* Open the file for reading. returns the descriptor, or -1 with errno */
int mail_open(const struct mail *mail);

/* Close it; keeps errno. */
void mail_close(int fd);

/* Remove the file, or move it to queue/bad. returns true, or false with errno */
bool mail_unlink(uint64_t id);
bool mail_set_aside(uint64_t id);

void mail_table_add(struct mail_table *table, struct mail *mail);
struct mail *mail_table_find(const struct mail_table *table, uint64_t id);

/* Take it out (if it is there) and free it. */
void mail_table_destroy(struct mail_table *table, struct mail *mail);

#endif
