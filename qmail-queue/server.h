#ifndef SERVER_H
#define SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include <sys/types.h>

#include "batch_pace.h"
#include "client.h"
#include "flusher.h"
#include "handoff.h"
#include "keeper.h"
#include "queue_file.h"
#include "spool.h"
#include "trigger.h"

/* qmail-queued's event loop. */
enum { SERVER_ROLES = 3, SERVER_BUFFER = SPOOL_MEMFD_MAX };

/* What an event is about, beyond the clients' numbers. */
enum { SERVER_LISTENER = 1 << 30, SERVER_SIGNAL, SERVER_FLUSHER, SERVER_TIMER };

/* A uid that the Received line calls by what it does. */
struct server_role {
    uid_t uid;
    const char *text; /* "from network"; null: no such account */
};

struct server_options {
    unsigned int client_max;
    bool is_each_file;     /* flush file by file */
    unsigned int ready_fd; /* gets "\n" once the socket listens; 0: none */
    int lock; /* the lock file, held; its text is an id: all below are settled */
    struct server_role roles[SERVER_ROLES];
};

struct server {
    const struct server_options *options;
    int epoll;
    int listener;
    int folders[QUEUE_FILE_SPLIT]; /* queue/mess/N, for their fsync */
    uint64_t mount;                /* of the queue */
    struct flusher flusher;
    struct keeper keeper;
    struct trigger trigger;
    struct handoff packet;
    char *buffer;           /* SERVER_BUFFER bytes */
    struct client *clients; /* number 0 is the keeper */
    unsigned int client_count;
    unsigned int copier_count;
    struct batch_pace pace;
    struct client_list again;
    struct client_list copy_waits;
    struct client_list written;
    struct client_list flushing;
    uint64_t last_id;
    uint64_t settled;       /* as the lock file says */
    uint64_t settled_limit; /* it must not pass this id */
    int64_t settled_next_s; /* when to write it again */
    int64_t keeper_again_s; /* when to start another keeper */
    int64_t reported_s;     /* when an error was last logged */
    bool is_verified, is_accepting, is_stopping, accept_pauses; /* for one CHORE_MS */
};

/* Serve until SIGTERM. Current directory: the home.
 * returns  null after SIGTERM, everything in hand being answered; otherwise what failed,
 *          with errno, for the program's last line */
const char *server_run(const struct server_options *options);

/* Log an error about an entry, at most one a second: a full disk meets every message. */
void server_report(struct server *server, const char *what, const struct entry *entry);

/* What the Received line calls a sender of this uid; null: by the number. */
const char *server_role(const struct server_options *options, uid_t uid);

/* Ask for events on fd. returns true, or false with errno */
bool server_watch(const struct server *server, int fd, uint32_t tag, uint32_t events);

#endif
