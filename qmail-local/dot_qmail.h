#ifndef DOT_QMAIL_H
#define DOT_QMAIL_H

#include <stdbool.h>
#include <stddef.h>

#include <skalibs/stralloc.h>

/* Which .qmail file answers for an address, and what is in it. Nothing here delivers,
 * prints or changes anything, so it also answers "would this be delivered,
 * and by which line?". */

enum {
    DOT_QMAIL_FORBIDDEN_MODE = 0002, /* others may not write to the home or the file */
    DOT_QMAIL_SIZE_MAX = 4 * 1024 * 1024 /* bytes of one .qmail file */
};

enum dot_qmail_home {
    DOT_QMAIL_HOME_OK,
    DOT_QMAIL_HOME_STICKY,   /* its owner is editing the .qmail files: later */
    DOT_QMAIL_HOME_WRITABLE, /* by others: not safe to use */
    DOT_QMAIL_HOME_ERROR,    /* errno tells */
};

enum dot_qmail_status {
    DOT_QMAIL_FILE,     /* text holds the instructions */
    DOT_QMAIL_DEFAULT,  /* no file, or an empty one: use defaultdelivery */
    DOT_QMAIL_ABSENT,   /* no such mailbox */
    DOT_QMAIL_WRITABLE, /* the file can be written by others: not safe to use */
    DOT_QMAIL_ERROR,    /* errno tells; name is the file */
};

enum dot_qmail_owner {
    DOT_QMAIL_OWNER_NONE,
    DOT_QMAIL_OWNER_PLAIN, /* .qmail-ext-owner exists */
    DOT_QMAIL_OWNER_VERP,  /* .qmail-ext-owner-default too */
    DOT_QMAIL_OWNER_ERROR, /* errno tells */
};

/* Begin with all zero. */
struct dot_qmail {
    stralloc name;            /* of the file, relative to the home; empty for none */
    stralloc text;            /* its content, '\0' after it */
    bool forward_only;        /* its owner's x bit is set */
    const char *default_part; /* DEFAULT: points into ext; null: not set */
};

/* Open the home directory and see whether it may be used.
 * fd       set to an O_PATH descriptor (close-on-exec) for OK, STICKY and WRITABLE
 */
enum dot_qmail_home dot_qmail_open_home(const char *path, int *fd);

/* See whether an open home may be used now. fd: as dot_qmail_open_home made it */
enum dot_qmail_home dot_qmail_check_home(int fd);

/* Find and read the file for dash and ext below the open home.
 * file     replaced; default_part points into ext
 * returns  see above; file->text is valid for DOT_QMAIL_FILE only */
enum dot_qmail_status dot_qmail_find(struct dot_qmail *file, int home, const char *dash,
                                     const char *ext);

/* Look for the owner files of dash and ext: they are not read. */
enum dot_qmail_owner dot_qmail_find_owner(int home, const char *dash, const char *ext);

void dot_qmail_free(struct dot_qmail *file);

#endif
