#ifndef TRIGGER_H
#define TRIGGER_H

struct send;

/* The socket queue/trigger: datagrams from qmail-queued, each some ids in decimal with
 * '\n' after or between them, or the word "scan". */

enum { TRIGGER_PACKET_MAX = 4096 };

/* Make the socket. returns the descriptor, non-blocking, or -1 with errno */
int trigger_listen(void);

/* Read what has come. */
void trigger_receive(struct send *send);

#endif
