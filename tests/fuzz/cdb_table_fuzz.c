/* A users/cdb of any bytes: lookups give an answer or an error, in bounded time. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>

#include "cdb_table.h"
#include "user_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
require(int condition)
{
    if (!condition)
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char path[32];
    struct cdb_table table = {.fd = -1};
    struct user user = {0};
    stralloc data = STRALLOC_ZERO;

    int fd = memfd_create("cdb", MFD_CLOEXEC);
    require(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (cdb_table_open(&table, path) == CDB_TABLE_FOUND) {
        if (cdb_table_find(&table, "key", 3, &data) == CDB_TABLE_FOUND)
            require(data.len <= CDB_TABLE_DATA_MAX && data.s[data.len] == '\0');
        if (user_table_find(&table, "Joe-ext", &user) == USER_FOUND)
            require(*user.name && *user.homedir && strlen(user.ext) <= user.text.len);
    }
    cdb_table_close(&table);
    user_free(&user);
    stralloc_free(&data);
    close(fd);
    return 0;
}
