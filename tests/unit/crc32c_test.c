#include "crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { LEN = 32 };

static void
agrees_with_the_vectors_of_rfc_3720_b_4(void **state)
{
    (void)state;
    unsigned char bytes[LEN];
    memset(bytes, 0, LEN);
    assert_int_equal(crc32c_update(0, bytes, LEN), 0x8A9136AA);
    memset(bytes, 0xff, LEN);
    assert_int_equal(crc32c_update(0, bytes, LEN), 0x62A8AB43);
    for (int i = 0; i < LEN; i++)
        bytes[i] = (unsigned char)i;
    assert_int_equal(crc32c_update(0, bytes, LEN), 0x46DD794E);
    for (int i = 0; i < LEN; i++)
        bytes[i] = (unsigned char)(LEN - 1 - i);
    assert_int_equal(crc32c_update(0, bytes, LEN), 0x113FDB5C);
    assert_int_equal(crc32c_update(0, "123456789", 9), 0xE3069283);
}

static void
gives_the_same_in_pieces_of_every_size_and_alignment(void **state)
{
    (void)state;
    char bytes[100];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7);
    uint32_t whole = crc32c_update(0, bytes, sizeof bytes);
    for (size_t first = 0; first <= sizeof bytes; first++) {
        uint32_t crc = crc32c_update(0, bytes, first);
        assert_int_equal(crc32c_update(crc, bytes + first, sizeof bytes - first), whole);
    }
}

static void
nothing_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(crc32c_update(0, "", 0), 0);
    assert_int_equal(crc32c_update(0x12345678, "", 0), 0x12345678);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_vectors_of_rfc_3720_b_4),
        cmocka_unit_test(gives_the_same_in_pieces_of_every_size_and_alignment),
        cmocka_unit_test(nothing_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
