#include "cdb_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include <cdb.h>

#include <skalibs/djbunix.h>

#include "text.h"

enum {
    INDEX_TABLES = 256,
    INDEX_BYTES = INDEX_TABLES * 8,
    KEY_MAX = 64 * 1024,
};

static int64_t
change_time_ns(const struct stat *status)
{
    return (int64_t)status->st_mtim.tv_sec * 1000000000 + status->st_mtim.tv_nsec;
}

static bool
is_same_file(const struct cdb_table *table, const struct stat *status)
{
    return table->device == status->st_dev && table->inode == status->st_ino &&
           table->size_bytes == status->st_size &&
           table->changed_ns == change_time_ns(status);
}

static enum cdb_table_status
close_failed(struct cdb_table *table, int error)
{
    cdb_table_close(table);
    errno = error;
    return CDB_TABLE_ERROR;
}

/* Do all hash tables lie inside the file? Then a lookup cannot read for longer than the
 * file is: cdb_seek() itself would follow a table of 2^32 slots round and round. */
static bool
has_sound_index(int fd, off_t size_bytes)
{
    unsigned char index[INDEX_BYTES];

    if (pread(fd, index, sizeof index, 0) != (ssize_t)sizeof index)
        return false;
    for (unsigned int i = 0; i < INDEX_TABLES; i++) {
        uint64_t position = cdb_unpack(index + 8 * i);
        uint64_t slots = cdb_unpack(index + 8 * i + 4);
        if (slots &&
            (position < INDEX_BYTES || position + slots * 8 > (uint64_t)size_bytes))
            return false;
    }
    return true;
}

enum cdb_table_status
cdb_table_open(struct cdb_table *table, const char *path)
{
    struct stat status;

    if (table->fd >= 0 && stat(path, &status) == 0 && is_same_file(table, &status))
        return CDB_TABLE_FOUND;
    cdb_table_close(table);
    table->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (table->fd < 0)
        return errno == ENOENT ? CDB_TABLE_ABSENT : CDB_TABLE_ERROR;
    if (fstat(table->fd, &status) < 0)
        return close_failed(table, errno);
    if (!S_ISREG(status.st_mode) || !has_sound_index(table->fd, status.st_size))
        return close_failed(table, EPROTO);
    table->device = status.st_dev;
    table->inode = status.st_ino;
    table->size_bytes = status.st_size;
    table->changed_ns = change_time_ns(&status);
    return CDB_TABLE_FOUND;
}

enum cdb_table_status
cdb_table_find(struct cdb_table *table, const char *key, size_t key_len, stralloc *data)
{
    unsigned int len;

    if (table->fd < 0 || key_len > KEY_MAX)
        return text_copy(data, "") ? CDB_TABLE_ABSENT : CDB_TABLE_ERROR;
    int found = cdb_seek(table->fd, key, (unsigned int)key_len, &len);
    if (found < 0)
        return CDB_TABLE_ERROR;
    if (!found)
        return text_copy(data, "") ? CDB_TABLE_ABSENT : CDB_TABLE_ERROR;
    if (len > CDB_TABLE_DATA_MAX || len > table->size_bytes) {
        errno = EPROTO;
        return CDB_TABLE_ERROR;
    }
    data->len = 0;
    if (!stralloc_ready(data, len + 1))
        return CDB_TABLE_ERROR;
    if (cdb_bread(table->fd, data->s, (int)len) < 0)
        return CDB_TABLE_ERROR;
    data->len = len;
    data->s[len] = '\0';
    return CDB_TABLE_FOUND;
}

void
cdb_table_close(struct cdb_table *table)
{
    if (table->fd >= 0)
        close(table->fd);
    table->fd = -1;
}

static void
free_maker(struct cdb_maker *maker)
{
    int saved = errno;
    if (maker->fd >= 0)
        close(maker->fd);
    free(maker->state);
    stralloc_free(&maker->path);
    stralloc_free(&maker->temporary);
    *maker = (struct cdb_maker){.fd = -1};
    errno = saved;
}

bool
cdb_maker_start(struct cdb_maker *maker, const char *path)
{
    *maker = (struct cdb_maker){.fd = -1};
    bool ok = text_copy(&maker->path, path) && text_copy(&maker->temporary, path) &&
              text_append(&maker->temporary, ".tmp");
    if (ok) {
        maker->fd =
            open(maker->temporary.s, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        maker->state = calloc(1, sizeof(struct cdb_make));
        ok = maker->fd >= 0 && maker->state &&
             fchmod(maker->fd, 0644) == 0 && /* whatever the umask */
             cdb_make_start(maker->state, maker->fd) == 0;
    }
    if (!ok)
        free_maker(maker);
    return ok;
}

bool
cdb_maker_add(struct cdb_maker *maker, const char *key, size_t key_len, const char *data,
              size_t data_len)
{
    if (key_len > KEY_MAX || data_len > CDB_TABLE_DATA_MAX) {
        errno = EMSGSIZE;
        return false;
    }
    return cdb_make_add(maker->state, key, (unsigned int)key_len, data,
                        (unsigned int)data_len) == 0;
}

/* Make the rename durable. */
static bool
sync_directory_of(stralloc *path)
{
    char *slash = strrchr(path->s, '/');
    if (slash)
        slash[slash == path->s ? 1 : 0] = '\0';
    int fd = open(slash ? path->s : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = fsync(fd) == 0;
    fd_close(fd);
    return ok;
}

/* Free the maker of a table that will not be; tinycdb's own memory is freed already. */
static void
discard(struct cdb_maker *maker)
{
    int saved = errno;
    (void)unlink(maker->temporary.s);
    errno = saved;
    free_maker(maker);
}

bool
cdb_maker_finish(struct cdb_maker *maker)
{
    bool ok = cdb_make_finish(maker->state) == 0 && fsync(maker->fd) == 0 &&
              rename(maker->temporary.s, maker->path.s) == 0;
    if (!ok) {
        discard(maker);
        return false;
    }
    ok = sync_directory_of(&maker->path);
    free_maker(maker);
    return ok;
}

/* tinycdb frees its list of records only in cdb_make_finish(), so let it finish in the
 * file that is thrown away. */
void
cdb_maker_abandon(struct cdb_maker *maker)
{
    if (maker->fd < 0)
        return;
    (void)cdb_make_finish(maker->state);
    discard(maker);
}
