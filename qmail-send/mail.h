#ifndef MAIL_H
#define MAIL_H

#include <stdbool.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "config.h"
#include "destination.h"
#include "queue_file.h"
#include "route.h"

/* A queued message at work. One pass: each recipient is tried once, or skipped. */

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

/* The local or remote groups: how far they have been put before their destinations. */
struct mail_front {
    uint32_t next;   /* groups before this one have been put there */
    uint32_t posted; /* groups that still wait there */
};

struct mail {
    uint64_t id, birth_s, uid, qp;
    struct queue_file file;
    struct mail_recipient *recipients; /* those that are not done, by destination */
    struct mail_group *groups;
    uint32_t recipient_count, group_count;
    struct mail_front fronts[2]; /* [is_local]: neither waits for the other */
    uint32_t running;            /* jobs */
    uint32_t undone;             /* recipients that are not RECIPIENT_DONE */
    uint64_t skipped_until_s;    /* when the first skipped recipient may be tried */
    stralloc failures;           /* paragraphs of the bounce */
    char *body;                  /* a small message that waits in memory, else null */
    bool is_tried;    /* a recipient has failed or been deferred in this pass */
    bool is_expired;  /* older than queuelifetime: temporary failures are final */
    bool is_wanted;   /* the operator wants the next pass at once */
    bool is_bouncing; /* the pass is over, its bounce is on the way */
    bool is_touched;
    struct mail *next_touched;
    struct mail *next; /* where it waits: of the bounces */
    struct mail *chain;
};

/* Find where each recipient goes. returns true, or false with errno */
bool mail_make_groups(struct mail *mail, const struct config *config,
                      const struct destination_table *destinations, struct route *route);

const char *mail_sender(const struct mail *mail);
const char *mail_recipient(const struct mail *mail, uint32_t index);
/* The group of this destination, or null. */
struct mail_group *mail_find_group(const struct mail *mail, uint64_t destination);

/* Count the recipients to do and read birth, uid and qp from the envelope. */
void mail_read_records(struct mail *mail);

void mail_free(struct mail *mail);

#endif
