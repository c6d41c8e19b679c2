#ifndef MBOX_H
#define MBOX_H

#include <stdbool.h>

#include "local_job.h"
#include "local_result.h"

enum { MBOX_LOCK_WAIT_S = 30 };

/* Append the message to the mbox file path, relative to the directory home, and flush it:
 * From_, Return-Path and Delivered-To line, the message in mboxrd quoting, an empty line;
 * in front of it a newline or two if the file does not end with an empty line.
 * The file is locked with flock(), and cut back to its old length if anything fails;
 * mbox(5). A crash may leave part of the message, behind which the next one is whole.
 * Uses SIGALRM; blocks up to MBOX_LOCK_WAIT_S for the lock.
 * returns  true, or false with the failure in *result (always temporary) */
bool mbox_append(int home, const char *path, const struct local_lines *lines,
                 const struct message *message, struct local_result *result);

#endif
