/* The first memory a program asks for, out of its own bss, where it is linked with musl.
 *
 * A program that lives for one connection or one command needs a few kilobytes. musl's
 * malloc gets them by five to eight system calls, each of which changes the address
 * space, and by a dozen page faults: a sixth of what a whole qmail-smtpd costs. So
 * malloc() and its sisters hand out a fixed place first, as qmail's alloc() did, and are
 * musl's own when that is used up.
 *
 * Blocks follow each other, each with its length before it. The last one can grow, and
 * its bytes are taken back when it is freed; others are not, so what a program can lose
 * here is the place, once. Not for threads: no program of ours has any. */
typedef int first_memory_is_not_empty; /* ISO C wants a declaration under glibc, too */

#include <features.h>
#if !defined __GLIBC__ || defined FIRST_MEMORY_TEST

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    PLACE_BYTES = 64 * 1024,
    UNIT = 16, /* of sizes and addresses; also the room for a length */
};

/* musl's own, under the names by which its other functions know them */
void *__libc_malloc(size_t len);
void *__libc_realloc(void *block, size_t len);
void __libc_free(void *block);

static union {
    max_align_t alignment;
    char bytes[PLACE_BYTES];
} place;
static size_t used; /* bytes of it; a multiple of UNIT */

static size_t
rounded(size_t len)
{
    return (len + UNIT - 1) & ~(size_t)(UNIT - 1);
}

/* Is the block one of ours? */
static bool
is_first(const char *block)
{
    return (uintptr_t)block - (uintptr_t)place.bytes < PLACE_BYTES;
}

static size_t
length_of(const char *block)
{
    size_t len;
    memcpy(&len, block - UNIT, sizeof len);
    return len;
}

static void
set_length(char *block, size_t len)
{
    memcpy(block - UNIT, &len, sizeof len);
}

static bool
is_last(const char *block)
{
    return block + rounded(length_of(block)) == place.bytes + used;
}

static void *
obtain(size_t len)
{
    len += len == 0; /* a block of no bytes could begin behind the place */
    if (len > PLACE_BYTES - UNIT || rounded(len) + UNIT > PLACE_BYTES - used)
        return __libc_malloc(len);
    char *block = place.bytes + used + UNIT;
    used += UNIT + rounded(len);
    set_length(block, len);
    return block;
}

void *
malloc(size_t len)
{
    return obtain(len);
}

void
free(void *memory)
{
    char *block = memory;
    if (!is_first(block))
        __libc_free(block);
    else if (is_last(block))
        used = (size_t)(block - place.bytes) - UNIT;
}

/* Change the length where the block stands. */
static bool
resize(char *block, size_t len)
{
    size_t start = (size_t)(block - place.bytes);

    if (is_last(block)) {
        if (len > PLACE_BYTES - start)
            return false;
        used = start + rounded(len);
    } else if (len > rounded(length_of(block))) {
        return false;
    } else {
        return true; /* it keeps its room */
    }
    set_length(block, len);
    return true;
}

void *
realloc(void *memory, size_t len)
{
    if (!memory)
        return obtain(len);
    if (!is_first(memory))
        return __libc_realloc(memory, len);
    if (resize(memory, len))
        return memory;
    void *moved = obtain(len); /* it is longer */
    if (moved) {
        memcpy(moved, memory, length_of(memory));
        free(memory);
    }
    return moved;
}

void *
calloc(size_t count, size_t size)
{
    size_t len;
    if (__builtin_mul_overflow(count, size, &len)) {
        errno = ENOMEM;
        return NULL;
    }
    void *block = obtain(len);
    return block ? memset(block, 0, len) : NULL;
}
#endif
