#ifndef CDB_TABLE_H
#define CDB_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

#include <skalibs/stralloc.h>

/* Constant tables in files (cdb), the form in which qmail keeps users/cdb and
 * control/morercpthosts.cdb. Lookups use read(2) and no mapping, so a file that is
 * damaged, or cut short while it is in use, gives an error and never a signal. Only this
 * module includes cdb.h. */

enum {
    CDB_TABLE_DATA_MAX = 1024 * 1024, /* a longer record is taken for damage */
};

enum cdb_table_status {
    CDB_TABLE_ERROR,  /* errno tells; EPROTO, EIO: the file is damaged, or no cdb */
    CDB_TABLE_ABSENT, /* no such file, or no such key */
    CDB_TABLE_FOUND,
};

/* An open table. Start with {.fd = -1}. Processes after a fork must not share one: the
 * lookup moves the descriptor's offset. All members are private. */
struct cdb_table {
    int fd;
    dev_t device;
    ino_t inode;
    off_t size_bytes;
    int64_t changed_ns;
};

/* Open the table at path; when *table is open already, open it anew if the file at
 * path is another one or has changed. One stat(2) if not, so long-lived programs call
 * it before each lookup.
 * returns  CDB_TABLE_FOUND; CDB_TABLE_ABSENT: there is no such file, *table is closed;
 *          CDB_TABLE_ERROR with errno: *table is closed */
enum cdb_table_status cdb_table_open(struct cdb_table *table, const char *path);

/* Find the first record with this key.
 * data     replaced, unless CDB_TABLE_ERROR; owned by the caller; s[len] is '\0'
 * returns  CDB_TABLE_FOUND, CDB_TABLE_ABSENT (also if closed), CDB_TABLE_ERROR */
enum cdb_table_status cdb_table_find(struct cdb_table *table, const char *key,
                                     size_t key_len, stralloc *data);

void cdb_table_close(struct cdb_table *table);

/* A table in the making: written to path.tmp, put in place when whole and on disk. */
struct cdb_maker {
    stralloc path; /* private, as the rest */
    stralloc temporary;
    int fd;
    void *state;
};

/* Begin a table that will appear at path with mode 0644. An old path.tmp is overwritten.
 * returns  true, or false with errno; then nothing is left to be freed */
bool cdb_maker_start(struct cdb_maker *maker, const char *path);

/* Add one record; of equal keys the first is found. returns false with errno: abandon */
bool cdb_maker_add(struct cdb_maker *maker, const char *key, size_t key_len,
                   const char *data, size_t data_len);

/* Complete the table: fsync, rename over path, fsync the directory. The maker is freed.
 * returns  true, or false with errno: the old table is still there, path.tmp is gone */
bool cdb_maker_finish(struct cdb_maker *maker);

/* Give up: path.tmp is removed, the maker is freed; errno is kept. */
void cdb_maker_abandon(struct cdb_maker *maker);

#endif
