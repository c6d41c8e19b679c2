#ifndef REQUEST_H
#define REQUEST_H

#include "server.h"

/* A packet from client is in server->packet: check it, write what it brings, and let it
 * wait for a flush or a copier; or refuse it at once. */
void request_take(struct server *server, struct client *client);

/* The same for a packet still in the client's socket, with a stranger's descriptor. */
void request_fetch(struct server *server, struct client *client);

/* All of the message is in its file: wait for the next flush. */
void request_is_written(struct server *server, struct client *client);

/* The message is safe: say so; the client is idle again. */
void request_accept(struct server *server, struct client *client);

/* Take away what was written, and tell the client that it has failed. A client whose
 * packet has not been fetched has to go.
 * code  enum queue_code */
void request_refuse(struct server *server, struct client *client, unsigned int code);

#endif
