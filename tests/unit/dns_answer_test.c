#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dns_answer.h"

/* A packet in the making. */
struct maker {
    unsigned char bytes[4096];
    size_t len;
};

static void
put(struct maker *maker, const void *bytes, size_t len)
{
    memcpy(maker->bytes + maker->len, bytes, len);
    maker->len += len;
}

static void
put_16(struct maker *maker, unsigned int value)
{
    unsigned char bytes[2] = {(unsigned char)(value >> 8), (unsigned char)value};
    put(maker, bytes, 2);
}

#define PUT(maker, literal) put(maker, literal, sizeof(literal) - 1)

/* Header and question "x.Example" of this type. The question's name is at offset 12. */
static void
begin(struct maker *maker, unsigned int flags, unsigned int records, unsigned int type)
{
    maker->len = 0;
    put_16(maker, 4711);
    put_16(maker, flags);
    put_16(maker, 1);
    put_16(maker, records);
    put_16(maker, 0);
    put_16(maker, 0);
    PUT(maker, "\1x\7Example\0");
    put_16(maker, type);
    put_16(maker, 1);
}

/* A record of the name at offset 12. */
static void
record(struct maker *maker, unsigned int type, const void *data, size_t len)
{
    put_16(maker, 0xc00c);
    put_16(maker, type);
    put_16(maker, 1);
    PUT(maker, "\0\0\1\0");
    put_16(maker, (unsigned int)len);
    put(maker, data, len);
}

#define RECORD(maker, type, literal) record(maker, type, literal, sizeof(literal) - 1)

enum { ANSWER = 0x8180, AUTHENTIC = 0x0020, TRUNCATED = 0x0200 };

/* Parse a copy that ends where the packet ends, so that ASan sees every step too far. */
static enum dns_status
parse(struct dns_answer *answer, const struct maker *maker, uint16_t type)
{
    unsigned char *copy = malloc(maker->len ? maker->len : 1);
    memcpy(copy, maker->bytes, maker->len);
    enum dns_status status = dns_answer_parse(answer, copy, maker->len, type);
    free(copy);
    return status;
}

static void
reads_mx_records_with_compressed_names(void **state)
{
    (void)state;
    struct maker maker;
    struct dns_answer answer = {.count = 0};
    begin(&maker, ANSWER | AUTHENTIC, 2, DNS_TYPE_MX);
    RECORD(&maker, DNS_TYPE_MX, "\0\12\2MX\xc0\x0e");
    RECORD(&maker, DNS_TYPE_MX, "\1\0\4mail\3net\0");
    assert_int_equal(parse(&answer, &maker, DNS_TYPE_MX), DNS_FOUND);
    assert_int_equal(answer.count, 2);
    assert_int_equal(answer.records[0].preference, 10);
    assert_string_equal(answer.data.s + answer.records[0].at, "mx.example");
    assert_int_equal(answer.records[1].preference, 256);
    assert_string_equal(answer.data.s + answer.records[1].at, "mail.net");
    assert_true(answer.authenticated);
    dns_answer_free(&answer);
}

static void
reads_addresses(void **state)
{
    (void)state;
    struct maker maker;
    struct dns_answer answer = {.count = 0};
    begin(&maker, ANSWER, 1, DNS_TYPE_A);
    RECORD(&maker, DNS_TYPE_A, "\177\0\0\1");
    assert_int_equal(parse(&answer, &maker, DNS_TYPE_A), DNS_FOUND);
    assert_memory_equal(answer.data.s + answer.records[0].at, "\177\0\0\1", 4);
    assert_false(answer.authenticated);
    begin(&maker, ANSWER, 1, DNS_TYPE_AAAA);
    RECORD(&maker, DNS_TYPE_AAAA, "0123456789abcdef");
    assert_int_equal(parse(&answer, &maker, DNS_TYPE_AAAA), DNS_FOUND);
    assert_memory_equal(answer.data.s + answer.records[0].at, "0123456789abcdef", 16);
    dns_answer_free(&answer);
}

static void
an_address_of_wrong_length_spoils_the_answer(void **state)
{
    (void)state;
    struct maker maker;
    struct dns_answer answer = {.count = 0};
    begin(&maker, ANSWER, 1, DNS_TYPE_A);
    RECORD(&maker, DNS_TYPE_A, "\177\0\0");
    assert_int_equal(parse(&answer, &maker, DNS_TYPE_A), DNS_TEMPORARY);
    dns_answer_free(&answer);
}

static void
follows_aliases_in_any_order(void **state)
{
    (void)state;
    struct maker maker;
    struct dns_answer answer = {.count = 0};
    begin(&maker, ANSWER, 2, DNS_TYPE_A);
    PUT(&maker, "\1y\0\0\1\0\1\0\0\0\0\0\4\1\2\3\4"); /* y. A 1.2.3.4, first */
    RECORD(&maker, DNS_TYPE_CNAME, "\1Y\0");
    assert_int_equal(parse(&answer, &maker, DNS_TYPE_A), DNS_FOUND);
    assert_int_equal(answer.count, 1);
    assert_memory_equal(answer.data.s, "\1\2\3\4", 4);
    dns_answer_free(&answer);
}

static void
an_alias_that_leads_out_of_the_packet_is_told(void **state)
{
    (void)state;
    struct maker maker;
    struct dns_answer answer = {.count = 0};
    begin(&maker, ANSWER, 1, DNS_TYPE_A);
    RECORD(&maker, DNS_TYPE_CNAME, "\1Y\4else\0");
    assert_int_equal(parse(&answer, &maker, DNS_TYPE_A), DNS_NO_DATA);
    assert_true(answer.has_alias);
    assert_string_equal(answer.data.s, "y.else");
    dns_answer_free(&answer);
}

static void
an_alias_of_itself_ends(void **state)
{
    (void)state;
    struct maker maker;
    struct dns_answer answer = {.count = 0};
    begin(&maker, ANSWER, 1, DNS_TYPE_A);
    RECORD(&maker, DNS_TYPE_CNAME, "\xc0\x0c");
    assert_int_equal(parse(&answer, &maker, DNS_TYPE_A), DNS_TEMPORARY);
    dns_answer_free(&answer);
}

static void
an_alias_without_end_spoils_the_answer(void **state)
{
    (void)state;
    struct maker maker;
    struct dns_answer answer = {.count = 0};
    begin(&maker, ANSWER, 2, DNS_TYPE_A);
    RECORD(&maker, DNS_TYPE_CNAME,
           "\1y\3net"); /* its name goes on into the next record */
    RECORD(&maker, DNS_TYPE_A, "\1\2\3\4");
    assert_int_equal(parse(&answer, &maker, DNS_TYPE_A), DNS_TEMPORARY);
    dns_answer_free(&answer);
}

static void
records_of_other_names_do_not_count(void **state)
{
    (void)state;
    struct maker maker;
    struct dns_answer answer = {.count = 0};
    begin(&maker, ANSWER, 1, DNS_TYPE_A);
    PUT(&maker, "\1y\0\0\1\0\1\0\0\0\0\0\4\1\2\3\4");
    assert_int_equal(parse(&answer, &maker, DNS_TYPE_A), DNS_NO_DATA);
    assert_false(answer.has_alias);
    assert_int_equal(answer.count, 0);
    dns_answer_free(&answer);
}

static void
the_response_code_decides(void **state)
{
    (void)state;
    struct maker maker;
    struct dns_answer answer = {.count = 0};
    static const enum dns_status expected[6] = {DNS_NO_DATA,   DNS_TEMPORARY,
                                                DNS_TEMPORARY, DNS_NO_NAME,
                                                DNS_TEMPORARY, DNS_TEMPORARY};
    for (unsigned int rcode = 0; rcode < 6; rcode++) {
        begin(&maker, ANSWER | rcode, 0, DNS_TYPE_MX);
        assert_int_equal(parse(&answer, &maker, DNS_TYPE_MX), expected[rcode]);
    }
    begin(&maker, 0x0100, 0, DNS_TYPE_MX); /* a question is no answer */
    assert_int_equal(parse(&answer, &maker, DNS_TYPE_MX), DNS_TEMPORARY);
    begin(&maker, ANSWER | TRUNCATED, 0, DNS_TYPE_MX);
    assert_int_equal(parse(&answer, &maker, DNS_TYPE_MX), DNS_TEMPORARY);
    assert_true(answer.truncated);
    dns_answer_free(&answer);
}

static void
every_cut_packet_is_harmless(void **state)
{
    (void)state;
    struct maker maker;
    struct dns_answer answer = {.count = 0};
    begin(&maker, ANSWER, 2, DNS_TYPE_MX);
    RECORD(&maker, DNS_TYPE_MX, "\0\12\2MX\xc0\x0e");
    RECORD(&maker, DNS_TYPE_MX, "\1\0\4mail\3net\0");
    while (maker.len--)
        assert_int_equal(parse(&answer, &maker, DNS_TYPE_MX), DNS_TEMPORARY);
    dns_answer_free(&answer);
}

static void
pointers_go_backwards_only(void **state)
{
    (void)state;
    struct maker maker;
    struct dns_answer answer = {.count = 0};
    begin(&maker, ANSWER, 1, DNS_TYPE_MX);
    size_t at = maker.len + 14;
    RECORD(&maker, DNS_TYPE_MX, "\0\12\xc0\x00"); /* to itself, filled in below */
    maker.bytes[at + 1] = (unsigned char)at;
    assert_int_equal(parse(&answer, &maker, DNS_TYPE_MX), DNS_TEMPORARY);
    begin(&maker, ANSWER, 1, DNS_TYPE_MX);
    RECORD(&maker, DNS_TYPE_MX,
           "\0\12\1a\xc0\x00"); /* a label, then back to that label */
    maker.bytes[at + 3] = (unsigned char)at;
    assert_int_equal(parse(&answer, &maker, DNS_TYPE_MX), DNS_TEMPORARY);
    dns_answer_free(&answer);
}

static void
odd_bytes_of_a_name_are_escaped(void **state)
{
    (void)state;
    struct maker maker;
    struct dns_answer answer = {.count = 0};
    begin(&maker, ANSWER, 1, DNS_TYPE_MX);
    RECORD(&maker, DNS_TYPE_MX, "\0\0\4a.\r\n\0");
    assert_int_equal(parse(&answer, &maker, DNS_TYPE_MX), DNS_FOUND);
    assert_string_equal(answer.data.s, "a\\046\\013\\010");
    assert_false(dns_name_is_possible(answer.data.s));
    dns_answer_free(&answer);
}

static void
the_root_as_an_exchanger_is_an_empty_name(void **state)
{
    (void)state;
    struct maker maker;
    struct dns_answer answer = {.count = 0};
    begin(&maker, ANSWER, 1, DNS_TYPE_MX);
    RECORD(&maker, DNS_TYPE_MX, "\0\0\0");
    assert_int_equal(parse(&answer, &maker, DNS_TYPE_MX), DNS_FOUND);
    assert_string_equal(answer.data.s, "");
    dns_answer_free(&answer);
}

static void
more_records_than_fit_are_left_out(void **state)
{
    (void)state;
    struct maker maker;
    struct dns_answer answer = {.count = 0};
    begin(&maker, ANSWER, DNS_RECORDS_MAX + 20, DNS_TYPE_A);
    for (unsigned int i = 0; i < DNS_RECORDS_MAX + 20; i++)
        RECORD(&maker, DNS_TYPE_A, "\1\2\3\4");
    assert_int_equal(parse(&answer, &maker, DNS_TYPE_A), DNS_FOUND);
    assert_int_equal(answer.count, DNS_RECORDS_MAX);
    dns_answer_free(&answer);
}

static void
impossible_names_are_known(void **state)
{
    (void)state;
    char label[66];
    memset(label, 'a', 65);
    label[64] = label[65] = '\0';
    assert_true(dns_name_is_possible("a.example"));
    assert_true(dns_name_is_possible("a.example."));
    assert_true(dns_name_is_possible(label + 1));
    assert_false(dns_name_is_possible(label));
    assert_false(dns_name_is_possible(""));
    assert_false(dns_name_is_possible("."));
    assert_false(dns_name_is_possible("a..b"));
    assert_false(dns_name_is_possible(".a"));
    assert_false(dns_name_is_possible("a\\b"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_mx_records_with_compressed_names),
        cmocka_unit_test(reads_addresses),
        cmocka_unit_test(an_address_of_wrong_length_spoils_the_answer),
        cmocka_unit_test(follows_aliases_in_any_order),
        cmocka_unit_test(an_alias_that_leads_out_of_the_packet_is_told),
        cmocka_unit_test(an_alias_of_itself_ends),
        cmocka_unit_test(an_alias_without_end_spoils_the_answer),
        cmocka_unit_test(records_of_other_names_do_not_count),
        cmocka_unit_test(the_response_code_decides),
        cmocka_unit_test(every_cut_packet_is_harmless),
        cmocka_unit_test(pointers_go_backwards_only),
        cmocka_unit_test(odd_bytes_of_a_name_are_escaped),
        cmocka_unit_test(the_root_as_an_exchanger_is_an_empty_name),
        cmocka_unit_test(more_records_than_fit_are_left_out),
        cmocka_unit_test(impossible_names_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
