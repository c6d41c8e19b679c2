#ifndef KEYED_HASH_H
#define KEYED_HASH_H

#include <stddef.h>
#include <stdint.h>

/* SipHash-2-4: a hash of which nobody who does not know the key can make two
 * texts collide, so that foreign names (domains of recipients) may be used
 * as keys of a table. */
uint64_t keyed_hash(const uint64_t key[2], const char *bytes, size_t len);

#endif
