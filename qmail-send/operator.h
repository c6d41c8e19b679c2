#ifndef OPERATOR_H
#define OPERATOR_H

#include <stddef.h>

struct send;

/* The socket queue/control: commands of the operator, described in qmail-send(8). */

/* Somebody connects. */
void operator_accept(struct send *send);

/* A command has come from operators[index], or it has gone. */
void operator_receive(struct send *send, size_t index);

#endif
