#include "keyed_hash.h"

static uint64_t
rotate(uint64_t word, unsigned int bits)
{
    return word << bits | word >> (64 - bits);
}

static void
sip_rounds(uint64_t v[4], unsigned int count)
{
    while (count--) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] = rotate(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] = rotate(v[2], 32);
    }
}

/* Up to 8 bytes, the first one lowest. */
static uint64_t
word_of(const char *bytes, size_t len)
{
    uint64_t word = 0;
    for (size_t i = 0; i < len && i < 8; i++)
        word |= (uint64_t)(unsigned char)bytes[i] << 8 * i;
    return word;
}

static void
absorb(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_rounds(v, 2);
    v[0] ^= word;
}

uint64_t
keyed_hash(const uint64_t key[2], const char *bytes, size_t len)
{
    uint64_t v[4] = {
        key[0] ^ UINT64_C(0x736f6d6570736575),
        key[1] ^ UINT64_C(0x646f72616e646f6d),
        key[0] ^ UINT64_C(0x6c7967656e657261),
        key[1] ^ UINT64_C(0x7465646279746573),
    };
    size_t at = 0;
    for (; len - at >= 8; at += 8)
        absorb(v, word_of(bytes + at, 8));
    absorb(v, word_of(bytes + at, len - at) | (uint64_t)len << 56);
    v[2] ^= 0xff;
    sip_rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
