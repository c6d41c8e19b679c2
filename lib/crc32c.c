#include "crc32c.h"

#include <string.h>

/* Reflected polynomial 0x82F63B78, four bits at a time. */
static const uint32_t by_nibble[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
    0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
    0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

static uint32_t
update_by_table(uint32_t crc, const unsigned char *bytes, size_t len)
{
    while (len--) {
        crc ^= *bytes++;
        crc = by_nibble[crc & 15] ^ (crc >> 4);
        crc = by_nibble[crc & 15] ^ (crc >> 4);
    }
    return crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t
update_by_instruction(uint32_t crc, const unsigned char *bytes, size_t len)
{
    uint64_t wide = crc;
    for (; len >= 8; len -= 8, bytes += 8) {
        uint64_t word;
        memcpy(&word, bytes, sizeof word);
        wide = _mm_crc32_u64(wide, word);
    }
    crc = (uint32_t)wide;
    while (len--)
        crc = _mm_crc32_u8(crc, *bytes++);
    return crc;
}
#endif

uint32_t
crc32c_update(uint32_t crc, const void *bytes, size_t len)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        return ~update_by_instruction(~crc, bytes, len);
#endif
    return ~update_by_table(~crc, bytes, len);
}
