#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include <cmocka.h>

#include "handoff.h"

enum { PIECE = 10007 }; /* a prime: no limit is met exactly by chance */

static char
byte_at(uint64_t offset)
{
    return (char)(offset % 251);
}

static void
put_pattern(struct spool *spool, uint64_t len)
{
    char piece[PIECE];
    for (uint64_t at = 0; at < len;) {
        size_t take = len - at < PIECE ? (size_t)(len - at) : PIECE;
        for (size_t i = 0; i < take; i++)
            piece[i] = byte_at(at + i);
        assert_true(spool_put(spool, piece, take));
        at += take;
    }
    assert_int_equal(spool->len, len);
}

static void
check_pattern(const struct spool *spool, uint64_t len)
{
    char piece[PIECE];
    uint64_t at = 0;
    ssize_t got;
    while ((got = spool_read(spool, piece, sizeof piece, at)) > 0) {
        for (ssize_t i = 0; i < got; i++)
            assert_int_equal(piece[i], byte_at(at + (uint64_t)i));
        at += (uint64_t)got;
    }
    assert_int_equal(got, 0);
    assert_int_equal(at, len);
}

static void
gives_back_every_length_around_its_limits(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {0,
                                       1,
                                       HANDOFF_BODY_MAX - 1,
                                       HANDOFF_BODY_MAX,
                                       HANDOFF_BODY_MAX + 1,
                                       SPOOL_MEMFD_MAX - 1,
                                       SPOOL_MEMFD_MAX,
                                       SPOOL_MEMFD_MAX + 1,
                                       3 * SPOOL_MEMFD_MAX};
    struct spool spool = {.fd = -1};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        spool_reset(&spool);
        put_pattern(&spool, lengths[i]);
        assert_true(spool_finish(&spool));
        assert_int_equal(spool.fd < 0, lengths[i] <= HANDOFF_BODY_MAX);
        check_pattern(&spool, lengths[i]);
    }
    spool_free(&spool);
}

static void
a_finished_memfd_cannot_be_changed(void **state)
{
    (void)state;
    struct spool spool = {.fd = -1};
    put_pattern(&spool, HANDOFF_BODY_MAX + 1);
    assert_true(spool_finish(&spool));
    int seals = fcntl(spool.fd, F_GET_SEALS);
    assert_int_equal(seals & (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE),
                     F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    assert_int_equal(ftruncate(spool.fd, 0), -1);
    assert_int_equal(pwrite(spool.fd, "x", 1, 0), -1);
    spool_free(&spool);
}

static void
a_large_one_lies_on_disk_without_a_name(void **state)
{
    (void)state;
    struct spool spool = {.fd = -1};
    struct stat status;
    put_pattern(&spool, SPOOL_MEMFD_MAX + 2 * HANDOFF_BODY_MAX);
    assert_true(spool_finish(&spool));
    assert_true(spool.on_disk);
    assert_int_equal(fstat(spool.fd, &status), 0);
    assert_int_equal(status.st_nlink, 0);
    spool_free(&spool);
}

static void
can_be_used_again_after_a_large_one(void **state)
{
    (void)state;
    struct spool spool = {.fd = -1};
    put_pattern(&spool, SPOOL_MEMFD_MAX * 2);
    spool_reset(&spool);
    put_pattern(&spool, 5);
    assert_true(spool_finish(&spool));
    assert_int_equal(spool.fd, -1);
    check_pattern(&spool, 5);
    spool_free(&spool);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_back_every_length_around_its_limits),
        cmocka_unit_test(a_finished_memfd_cannot_be_changed),
        cmocka_unit_test(a_large_one_lies_on_disk_without_a_name),
        cmocka_unit_test(can_be_used_again_after_a_large_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
