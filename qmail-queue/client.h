#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>

#include <sys/types.h>

#include "entry.h"

/* A connection to qmail-queued and its one request. */

enum client_state {
    CLIENT_FREE,
    CLIENT_IDLE,       /* no request */
    CLIENT_AGAIN,      /* no request, but another packet may be there already */
    CLIENT_COPY_WAITS, /* for one of the copiers */
    CLIENT_COPIES,
    CLIENT_WRITTEN,  /* waits for the next flush */
    CLIENT_FLUSHING, /* waits for the flush in hand */
};

struct client {
    enum client_state state;
    int socket;
    uid_t uid;
    pid_t pid;
    bool is_keeper;
    bool
        is_trusted; /* keeper, root, or an account of ours: its descriptors do not bite */
    bool must_fetch; /* a stranger's descriptor: its copier receives it, and never we */
    bool has_news;   /* something came, or it went away, while its request was in hand */
    int source;      /* what is to be copied; -1 */
    pid_t copier;
    struct entry entry;
    struct client *next; /* in the list of its state */
};

/* Clients of one state, oldest first. All zero: empty. */
struct client_list {
    struct client *first;
    struct client *last;
    unsigned int count;
};

void client_list_add(struct client_list *list, struct client *client);

/* Take the oldest out. returns it, or null when the list is empty */
struct client *client_list_take(struct client_list *list);

#endif
