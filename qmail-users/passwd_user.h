#ifndef PASSWD_USER_H
#define PASSWD_USER_H

#include <stdbool.h>

#include <skalibs/stralloc.h>

/* The user of a local part by the system's accounts, as qmail-getpw has always chosen. */

/* Append the six strings user, uid, gid, homedir, dash, ext, each with its NUL, to
 * *answer. An account counts if its uid is not 0, its name has no capitals and fewer than
 * 32 bytes, and its home exists and belongs to it. local "user" or "user-ext" is that
 * user's (case does not matter; the longest name wins); everything else is alias's.
 * returns  true; false with errno: a name service or file system does not answer now */
bool passwd_user_find(stralloc *answer, const char *local);

#endif
