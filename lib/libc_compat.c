/* The glibc symbols that Debian's static libskarnet and libcdb were compiled to call
 * (fortified variants of string and file functions), for programs linked with musl.
 * tests/musl-usable holds the list to look for. Each checks what its glibc namesake
 * checks and ends the program the same way: by abort. */
typedef int libc_compat_is_not_empty; /* ISO C wants a declaration under glibc, too */

#include <features.h>
#if !defined __GLIBC__ || defined LIBC_COMPAT_TEST

#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/select.h>

void *__memcpy_chk(void *to, const void *from, size_t len, size_t room);
void *__memmove_chk(void *to, const void *from, size_t len, size_t room);
void *__memset_chk(void *to, int byte, size_t len, size_t room);
void __explicit_bzero_chk(void *to, size_t len, size_t room);
int __vsnprintf_chk(char *to, size_t max, int flag, size_t room, const char *format,
                    va_list arguments);
int __open_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
long __fdelt_chk(long fd);
void arc4random_buf(void *to, size_t len);

static void
require(int condition)
{
    if (!condition)
        abort();
}

void *
__memcpy_chk(void *to, const void *from, size_t len, size_t room)
{
    require(len <= room);
    return memcpy(to, from, len);
}

void *
__memmove_chk(void *to, const void *from, size_t len, size_t room)
{
    require(len <= room);
    return memmove(to, from, len);
}

void *
__memset_chk(void *to, int byte, size_t len, size_t room)
{
    require(len <= room);
    return memset(to, byte, len);
}

void
__explicit_bzero_chk(void *to, size_t len, size_t room)
{
    require(len <= room);
    explicit_bzero(to, len);
}

#pragma GCC diagnostic ignored                                                           \
    "-Wformat-nonliteral" /* the caller's format was checked there */
int
__vsnprintf_chk(char *to, size_t max, int flag, size_t room, const char *format,
                va_list arguments)
{
    (void)flag;
    require(max <= room);
    return vsnprintf(to, max, format, arguments);
}

int
__open_2(const char *path, int flags)
{
    require(!(flags & O_CREAT));
    return open(path, flags);
}

int
__openat_2(int dir, const char *path, int flags)
{
    require(!(flags & O_CREAT));
    return openat(dir, path, flags);
}

long
__fdelt_chk(long fd)
{
    require(fd >= 0 && fd < FD_SETSIZE);
    return fd / (8 * (long)sizeof(long));
}

void
arc4random_buf(void *to, size_t len)
{
    char *next = to;
    while (len) {
        ssize_t got = getrandom(next, len, 0);
        require(got > 0);
        next += got;
        len -= (size_t)got;
    }
}
#endif
