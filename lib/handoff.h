#ifndef HANDOFF_H
#define HANDOFF_H

#include <stdbool.h>
#include <stddef.h>

#include <sys/types.h>

#include <skalibs/stralloc.h>

/* The handoff: one packet on a UNIX SEQPACKET socket with a few NUL-terminated strings,
 * optionally some bytes (a small message), and file descriptors (a large one). It carries
 * injections, jobs and reports; only this module knows its form: the length of the
 * strings in four bytes, the strings, the bytes; descriptors as SCM_RIGHTS. */

enum {
    HANDOFF_BODY_MAX = 48 * 1024,    /* a larger message travels as a descriptor */
    HANDOFF_STRINGS_MAX = 64 * 1024, /* all strings of one packet, NULs included */
    HANDOFF_FDS_MAX = 64,
};

enum handoff_status {
    HANDOFF_DONE,
    HANDOFF_WAIT,   /* a non-blocking socket is not ready: poll and try again */
    HANDOFF_CLOSED, /* the other side is gone */
    HANDOFF_ERROR,  /* errno tells; EPROTO: no handoff but another packet, now dropped */
};

/* What to send; members left zero are empty. Nothing is owned. */
struct handoff_parts {
    const char *strings; /* each ended by '\0' */
    size_t strings_len;
    const char *body;
    size_t body_len; /* at most HANDOFF_BODY_MAX */
    const int *fds;
    unsigned int fd_count; /* at most HANDOFF_FDS_MAX */
};

/* What was received. Start with all zero; the storage is reused by the next receive. */
struct handoff {
    size_t room; /* bytes of the longest packet, by who knows it; 0: any */
    stralloc packet;
    size_t strings_len;
    const char *body; /* points into packet */
    size_t body_len;
    int fds[HANDOFF_FDS_MAX]; /* close-on-exec; take one by setting it to -1 */
    unsigned int fd_count;
};

/* Make a listening socket at path (an old socket file there is replaced) with this mode;
 * non-blocking, close-on-exec. returns the descriptor, or -1 with errno */
int handoff_listen(const char *path, mode_t mode);

/* Connect to path (ENOENT, ECONNREFUSED: nobody listens), or make two connected sockets;
 * blocking, close-on-exec. return the descriptor or -1, or true or false, with errno */
int handoff_connect(const char *path);
bool handoff_pair(int fds[2]);

/* Send one packet, whole or not at all. Descriptors stay open. SIGPIPE is not raised. */
enum handoff_status handoff_send(int socket, const struct handoff_parts *parts);

/* Receive one packet into *packet; descriptors left from the packet before are closed. */
enum handoff_status handoff_receive(int socket, struct handoff *packet);

/* Closing the last descriptor of a stranger's socket or file may mean to wait, for hours
 * if SO_LINGER says so; so an event loop must not even receive it. _look tells whether
 * a packet is there and brings descriptors; _peek reads its bytes and leaves it; _drop
 * closes a stranger's socket, with what is unread in it, and waits for nothing. */
enum handoff_status handoff_look(int socket, bool *has_fds);
enum handoff_status handoff_peek(int socket, struct handoff *packet);
void handoff_drop(int socket);

/* The index-th string of a received packet, from 0; null when there are fewer. */
const char *handoff_string(const struct handoff *packet, size_t index);

/* Close the descriptors that were not taken; _free: and free the storage. */
void handoff_close_fds(struct handoff *packet);
void handoff_free(struct handoff *packet);

#endif
