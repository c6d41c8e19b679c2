#ifndef QUEUE_FILE_H
#define QUEUE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

/* The form of queue/mess/<split>/<id>, queue-file(5): message, envelope, footer. The
 * envelope is records of one letter, text and NUL; the first is the mutable header 'H'.
 * The footer holds version, lengths and a CRC-32C of all that never changes. */

enum {
    QUEUE_FILE_FOOTER_LEN = 64,
    QUEUE_FILE_PATH_MAX = 48,
    QUEUE_FILE_SPLIT = 23,
    QUEUE_FILE_HEADER_LEN = 42, /* 'H', 20, blank, 10, blank, 8 hex, NUL */
    QUEUE_FILE_WHOLE_MAX = 64 * 1024,
    QUEUE_FILE_ENVELOPE_MAX = 64 * 1024 * 1024, /* as qmail-send has it in memory, and */
    QUEUE_FILE_RECIPIENTS_MAX = 1000000,        /* some bytes for each */
};

struct queue_header {
    uint64_t next_try_s; /* Unix time */
    uint32_t tries;
    uint32_t flags; /* QUEUE_FLAG_* ; unknown bits are kept */
};

enum queue_flag {
    QUEUE_FLAG_HELD = 2, /* the operator holds it */
};

struct queue_file {
    uint64_t message_len;
    struct queue_header header;
    stralloc envelope; /* all records after the header, as they are now */
};

enum queue_file_status {
    QUEUE_FILE_OK,
    QUEUE_FILE_TORN,  /* does not check: incomplete, damaged or foreign */
    QUEUE_FILE_ERROR, /* errno tells: it could not be read, try again later */
};

/* Write "queue/mess/<split>/<id>" into path (QUEUE_FILE_PATH_MAX bytes). Ids are
 * microseconds since 1970; 17 seconds share a folder, so that a batch changes one. */
void queue_file_path(char *path, uint64_t id);
unsigned int queue_file_folder(uint64_t id); /* <split> */

/* What a writer puts behind the message: the header; and behind the records the footer,
 * for an envelope of envelope_len bytes with the header, and crc32c_update() of message
 * and records without it. returns true; false with EINVAL: a number does not fit */
bool queue_file_format_header(char text[QUEUE_FILE_HEADER_LEN],
                              const struct queue_header *header);
bool queue_file_format_footer(char text[QUEUE_FILE_FOOTER_LEN], uint64_t message_len,
                              uint64_t envelope_len, uint32_t crc);

/* Read envelope and footer of an open queue file. file->envelope is replaced, the
 * caller's. with_message: check the checksum too; else only lengths, version and form. */
enum queue_file_status queue_file_read(int fd, struct queue_file *file,
                                       bool with_message);

/* The same by one system call for a file below QUEUE_FILE_WHOLE_MAX, checksum compared.
 * bytes  replaced: the whole file, so its first message_len bytes are the message; empty
 *        for a larger file, whose message is not checked. The caller's */
enum queue_file_status queue_file_read_whole(int fd, struct queue_file *file,
                                             stralloc *bytes);

/* Walk the records: *at starts at 0 and moves to the next. returns false at the end */
bool queue_file_next(const struct queue_file *file, size_t *at, char *letter,
                     const char **text);

bool queue_file_write_header(int fd, const struct queue_file *file);
/* Mark the recipient at offset (*at before queue_file_next) done: 'T' becomes 'D', in
 * file and file->envelope. Both change the file in place; true, or false with errno. */
bool queue_file_mark_done(int fd, struct queue_file *file, size_t offset);

#endif
