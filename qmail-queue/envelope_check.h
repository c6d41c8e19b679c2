#ifndef ENVELOPE_CHECK_H
#define ENVELOPE_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The envelope "F" sender NUL { "T" recipient NUL } NUL, checked as its bytes come by. */

enum envelope_place {
    ENVELOPE_START,     /* 'F' comes next */
    ENVELOPE_SENDER,    /* within the sender */
    ENVELOPE_LETTER,    /* 'T' or the final NUL comes next */
    ENVELOPE_RECIPIENT, /* within a recipient */
    ENVELOPE_END,       /* the final NUL has been seen: nothing may follow */
};

struct envelope_check {
    enum envelope_place place; /* all zero: a new envelope */
    size_t address_len;
    uint32_t recipients;
};

/* Go over the next len bytes.
 * returns  QUEUE_OK; QUEUE_ADDRESS_TOO_LONG (more than INJECTION_ADDRESS_MAX bytes);
 *          QUEUE_BAD_ENVELOPE (more than QUEUE_FILE_RECIPIENTS_MAX recipients too). After
 *          a failure the check is of no more use. */
unsigned int envelope_check(struct envelope_check *check, const char *bytes, size_t len);

#endif
