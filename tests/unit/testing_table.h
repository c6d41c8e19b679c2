#ifndef TESTING_TABLE_H
#define TESTING_TABLE_H

#include "cdb_table.h"
#include "testing.h"

/* Tables like users/cdb, for the tests of those who read it. */

struct record {
    const char *key;
    size_t key_len;
    const char *data;
    size_t data_len;
};

#define RECORD(key, data)                                                                \
    {                                                                                    \
        key, sizeof key - 1, data, sizeof data - 1                                       \
    }

static inline void
make_table(const char *path, const struct record *records, size_t count)
{
    struct cdb_maker maker;
    assert_true(cdb_maker_start(&maker, path));
    for (size_t i = 0; i < count; i++)
        assert_true(cdb_maker_add(&maker, records[i].key, records[i].key_len,
                                  records[i].data, records[i].data_len));
    assert_true(cdb_maker_finish(&maker));
}

#endif
