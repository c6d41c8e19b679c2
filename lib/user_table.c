#include "user_table.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <skalibs/types.h>

#include "text.h"

enum { FIELDS = 6 }; /* user uid gid homedir dash ext */

void
user_free(struct user *user)
{
    stralloc_free(&user->text);
    *user = (struct user){0};
}

static enum user_status
damaged(void)
{
    errno = EPROTO;
    return USER_ERROR;
}

/* Point user's members at the strings in its text; behind ext's NUL nothing is ours. */
static enum user_status
dissect(struct user *user)
{
    const char *fields[FIELDS];
    size_t at = 0;
    uint32_t uid;
    uint32_t gid;

    for (size_t i = 0; i < FIELDS; i++) {
        if (at >= user->text.len)
            return damaged();
        fields[i] = user->text.s + at;
        at += strnlen(user->text.s + at, user->text.len - at) + 1;
    }
    if (at > user->text.len) /* the last one had no NUL */
        return damaged();
    if (!*fields[0] || !*fields[3] || !uint320_scan(fields[1], &uid) ||
        !uint320_scan(fields[2], &gid) || uid == UINT32_MAX || gid == UINT32_MAX)
        return damaged();
    user->uid = uid;
    user->gid = gid;
    user->name = fields[0];
    user->homedir = fields[3];
    user->dash = fields[4];
    user->ext = fields[5];
    return USER_FOUND;
}

enum user_status
user_parse(struct user *user, const char *strings, size_t len)
{
    return text_copy_bytes(&user->text, strings, len) ? dissect(user) : USER_ERROR;
}

/* Take a record as the answer; rest is appended to its ext. */
static enum user_status
take_record(struct user *user, const stralloc *data, const char *rest)
{
    if (!text_copy_bytes(&user->text, data->s, data->len) ||
        !text_append_string(&user->text, rest))
        return USER_ERROR;
    return dissect(user);
}

/* The walk: key "!local\0" is an exact entry, "!prefix" a wildcard. Only prefixes are
 * tried whose last byte ends any wildcard, as the record of the empty key tells,
 * and the empty one. */
static enum user_status
walk(struct cdb_table *table, const char *local, struct user *user, stralloc *key,
     stralloc *data)
{
    char is_last_byte[256] = {0};

    if (!text_copy(key, "!") || !text_append_string(key, local))
        return USER_ERROR;
    text_lower(key->s, key->len);
    enum cdb_table_status status = cdb_table_find(table, "", 0, data);
    if (status == CDB_TABLE_ABSENT)
        return damaged(); /* qmail-newu always writes this record */
    if (status == CDB_TABLE_FOUND) {
        for (size_t i = 0; i < data->len; i++)
            is_last_byte[(unsigned char)data->s[i]] = 1;
        status = cdb_table_find(table, key->s, key->len, data);
    }
    if (status == CDB_TABLE_FOUND)
        return take_record(user, data, "");
    for (size_t len = key->len - 1; status == CDB_TABLE_ABSENT && len >= 1; len--) {
        if (len > 1 && !is_last_byte[(unsigned char)key->s[len - 1]])
            continue;
        status = cdb_table_find(table, key->s, len, data);
        if (status == CDB_TABLE_FOUND)
            return take_record(user, data, local + len - 1);
    }
    return status == CDB_TABLE_ERROR ? USER_ERROR : USER_WAIT;
}

enum user_status
user_table_find(struct cdb_table *table, const char *local, struct user *user)
{
    stralloc key = STRALLOC_ZERO;
    stralloc data = STRALLOC_ZERO;

    if (table->fd < 0)
        return USER_WAIT;
    enum user_status status = walk(table, local, user, &key, &data);
    int saved = errno;
    stralloc_free(&key);
    stralloc_free(&data);
    errno = saved;
    return status;
}
