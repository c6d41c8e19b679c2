#ifndef CONNECTION_H
#define CONNECTION_H

#include "server.h"

/* Clients coming, speaking and going. */

/* Look for new clients, or (when all places are taken) do not. */
void connection_listen(struct server *server, bool on);

/* Accept those that have come, as far as there is room. No ordinary user may hold more
 * than a quarter of the places. */
void connection_accept(struct server *server);

/* Make the free place number `index` a client on socket (non-blocking).
 * returns  true, or false with errno; then the socket is still the caller's */
bool connection_enter(struct server *server, unsigned int index, int socket);

/* Something has come from client, or it has gone. After SIGTERM no request is begun, lest
 * clients that go on talking keep us for ever. */
void connection_news(struct server *server, struct client *client);

/* Read one packet each from those that may have sent more than one. */
void connection_again(struct server *server);

/* Close the connection and make the place free. Its request, if any, must be ended. */
void connection_drop(struct server *server, struct client *client);

#endif
