#ifndef MESSAGE_H
#define MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "handoff.h"

/* A message as one block of read-only memory, however it came: in a packet, in a sealed
 * memfd, or in an unlinked file of our own spawner. */

struct message {
    const char *bytes; /* len of them, LF line ends; null after a large message_copy() */
    size_t len;
    int fd; /* seekable, holds the message and only it; -1: not (yet) there; owned */
    void *mapping; /* private */
    char *copy;    /* private */
};

/* Take the message out of a received job packet: its body, or its first descriptor when
 * there is no body (the descriptor is taken; it must be a sealed memfd or come from
 * a trusted sender). The bytes are copied or mapped, so the packet may be reused.
 * returns  true, or false with errno; free with message_close */
bool message_take(struct message *message, struct handoff *packet);

/* Read the first len bytes of file, a queue file, into a message that a delivery process
 * may see: memory when small, else a sealed memfd up to 2 MiB, else an unlinked copy in
 * dir; then it is there to be attached or opened, and bytes stays null.
 * file stays the caller's. returns true, or false with errno */
bool message_copy(struct message *message, int file, uint64_t len, const char *dir);

/* Put the message into parts: as body when it fits, else as the descriptor (which must be
 * there, as after message_copy). parts points into *message afterwards. */
void message_attach(const struct message *message, struct handoff_parts *parts);

/* A descriptor of the message for a program's stdin: opened anew, its own offset at 0,
 * close-on-exec; the caller closes it. returns it, or -1 with errno */
int message_open(struct message *message);

void message_close(struct message *message);

#endif
