/* Reader of DNS answers: any bytes, each type; what it gives must be inside its data. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dns_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint16_t types[] = {DNS_TYPE_A, DNS_TYPE_AAAA, DNS_TYPE_MX};
    struct dns_answer answer = {.count = 0};

    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        enum dns_status status = dns_answer_parse(&answer, data, size, types[t]);
        if ((status == DNS_FOUND) != (answer.count > 0) || answer.count > DNS_RECORDS_MAX)
            abort();
        for (size_t i = 0; i < answer.count; i++) {
            size_t at = answer.records[i].at;
            size_t len = types[t] == DNS_TYPE_A ? 4 : types[t] == DNS_TYPE_AAAA ? 16 : 1;
            if (at + len > answer.data.len)
                abort();
            if (types[t] == DNS_TYPE_MX &&
                !memchr(answer.data.s + at, '\0', answer.data.len - at))
                abort();
        }
    }
    dns_answer_free(&answer);
    return 0;
}
