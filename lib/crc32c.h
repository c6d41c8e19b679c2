#ifndef CRC32C_H
#define CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continue a CRC-32C (Castagnoli polynomial, as in RFC 3720 12.1) over len bytes.
 * The first call gets crc 0; the result of one call is the crc of the next. Uses the
 * processor's own instruction where there is one. */
uint32_t crc32c_update(uint32_t crc, const void *bytes, size_t len);

#endif
