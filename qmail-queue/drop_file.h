#ifndef DROP_FILE_H
#define DROP_FILE_H

#include <stdbool.h>
#include <stdint.h>

/* A message in queue/drop, left by qmail-queue while qmail-queued was not there: message,
 * envelope, and this footer. Its owner is who sent it. */

enum { DROP_FILE_FOOTER_LEN = 64 };

struct drop_file {
    uint64_t message_len;
    uint64_t envelope_len;
    uint32_t pid; /* of the qmail-queue that wrote it */
};

void drop_file_format(char text[DROP_FILE_FOOTER_LEN], const struct drop_file *drop);

/* size  of the whole file
 * returns  false when this is no footer, or the lengths do not add up to size */
bool drop_file_parse(struct drop_file *drop, const char text[DROP_FILE_FOOTER_LEN],
                     uint64_t size);

#endif
