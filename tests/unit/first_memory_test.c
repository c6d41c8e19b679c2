/* lib/first_memory is compiled for musl only; here its functions get names of their own,
 * and glibc's stand for those of musl. */
#define FIRST_MEMORY_TEST
#include <features.h>
#include <stdlib.h>

void *first_malloc(size_t len);
void first_free(void *memory);
void *first_realloc(void *memory, size_t len);
void *first_calloc(size_t count, size_t size);

#define malloc first_malloc
#define free first_free
#define realloc first_realloc
#define calloc first_calloc
#define __libc_malloc(len) second_malloc(len)
#define __libc_realloc(block, len) second_realloc(block, len)
#define __libc_free(block) second_free(block)
#include "first_memory.c"
#undef malloc
#undef free
#undef realloc
#undef calloc

#include "testing.h"

static unsigned int second_calls;

void *
second_malloc(size_t len)
{
    second_calls++;
    return len < SIZE_MAX / 2 ? malloc(len) : NULL;
}

void *
second_realloc(void *block, size_t len)
{
    second_calls++;
    return realloc(block, len);
}

void
second_free(void *block)
{
    second_calls++;
    free(block);
}

static void
begin(void)
{
    memset(&place, 'x', sizeof place);
    used = 0;
    second_calls = 0;
}

static void
small_blocks_come_from_the_place_and_do_not_overlap(void **state)
{
    (void)state;
    begin();
    char *a = first_malloc(1);
    char *b = first_malloc(17);
    char *c = first_malloc(0);
    assert_true(is_first(a) && is_first(b) && is_first(c));
    assert_true(b >= a + 1 + UNIT && c >= b + 17 + UNIT);
    assert_int_equal((uintptr_t)a % UNIT + (uintptr_t)b % UNIT + (uintptr_t)c % UNIT, 0);
    assert_int_equal(second_calls, 0);
}

static void
the_last_block_grows_where_it_stands_and_is_taken_back(void **state)
{
    (void)state;
    begin();
    first_malloc(40);
    size_t before = used;
    char *a = first_malloc(10);
    memcpy(a, "0123456789", 10);
    assert_ptr_equal(first_realloc(a, 5000), a);
    assert_memory_equal(a, "0123456789", 10);
    assert_ptr_equal(first_realloc(a, 5), a);
    first_free(a);
    assert_int_equal(used, before);
    first_free(a); /* a mistake, but the place must not shrink further */
    assert_int_equal(used, before);
}

static void
another_block_that_grows_moves_with_its_bytes(void **state)
{
    (void)state;
    begin();
    char *a = first_malloc(16);
    char *b = first_malloc(16);
    memcpy(a, "0123456789abcdef", 16);
    memcpy(b, "ABCDEFGHIJKLMNOP", 16);
    char *moved = first_realloc(a, 17);
    assert_ptr_not_equal(moved, a);
    assert_memory_equal(moved, "0123456789abcdef", 16);
    assert_memory_equal(b, "ABCDEFGHIJKLMNOP", 16);
    assert_ptr_equal(first_realloc(b, 3), b); /* shorter: it keeps its room */
}

static void
what_does_not_fit_comes_from_the_c_library(void **state)
{
    (void)state;
    begin();
    char *large = first_malloc(PLACE_BYTES - UNIT + 1);
    assert_false(is_first(large));
    first_free(large);
    char *all = first_malloc(PLACE_BYTES - UNIT);
    assert_true(is_first(all));
    char *more = first_malloc(1);
    assert_false(is_first(more));
    more = first_realloc(more, 100);
    first_free(more);
    assert_int_equal(second_calls, 5);
    assert_null(first_malloc(SIZE_MAX / 2 + 1));
    assert_null(first_malloc(SIZE_MAX));
}

static void
a_block_of_no_bytes_does_not_begin_behind_the_place(void **state)
{
    (void)state;
    begin();
    first_malloc(PLACE_BYTES - 2 * UNIT);
    char *none = first_malloc(0); /* there is room for its length, but for nothing else */
    assert_false(is_first(none));
    first_free(none);
    assert_int_equal(second_calls, 2);
}

static void
a_block_that_outgrows_the_place_takes_its_bytes_along(void **state)
{
    (void)state;
    begin();
    char *a = first_malloc(1000);
    memset(a, 'a', 1000);
    char *moved = first_realloc(a, PLACE_BYTES);
    assert_false(is_first(moved));
    for (int i = 0; i < 1000; i++)
        assert_int_equal(moved[i], 'a');
    assert_int_equal(used, 0);
    first_free(moved);
}

static void
calloc_gives_zeros_also_where_something_was_before(void **state)
{
    static const char zeros[300];
    (void)state;
    begin();
    char *a = first_calloc(100, 3);
    assert_true(is_first(a));
    assert_memory_equal(a, zeros, sizeof zeros);
    errno = 0;
    assert_null(first_calloc(SIZE_MAX / 2, 3));
    assert_int_equal(errno, ENOMEM);
}

static void
null_is_freed_and_reallocated_as_the_standard_says(void **state)
{
    (void)state;
    void *volatile nothing = NULL; /* so that the compiler does not know */
    begin();
    first_free(nothing);
    assert_true(is_first(first_realloc(nothing, 8)));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_blocks_come_from_the_place_and_do_not_overlap),
        cmocka_unit_test(the_last_block_grows_where_it_stands_and_is_taken_back),
        cmocka_unit_test(another_block_that_grows_moves_with_its_bytes),
        cmocka_unit_test(what_does_not_fit_comes_from_the_c_library),
        cmocka_unit_test(a_block_of_no_bytes_does_not_begin_behind_the_place),
        cmocka_unit_test(a_block_that_outgrows_the_place_takes_its_bytes_along),
        cmocka_unit_test(calloc_gives_zeros_also_where_something_was_before),
        cmocka_unit_test(null_is_freed_and_reallocated_as_the_standard_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
