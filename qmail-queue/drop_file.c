#include "drop_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char start[] = "pennypost drop 1 ";

void
drop_file_format(char text[DROP_FILE_FOOTER_LEN], const struct drop_file *drop)
{
    int len = snprintf(text, DROP_FILE_FOOTER_LEN,
                       "%s%020" PRIu64 " %010" PRIu64 " %010" PRIu32, start,
                       drop->message_len, drop->envelope_len, drop->pid);
    memset(text + len, ' ', (size_t)(DROP_FILE_FOOTER_LEN - len));
    text[DROP_FILE_FOOTER_LEN - 1] = '\n';
}

/* Scan width digits and the byte behind them. */
static bool
scan_field(const char **text, unsigned int width, uint64_t *number)
{
    *number = 0;
    for (; width; width--, (*text)++) {
        if (**text < '0' || **text > '9' || *number > UINT64_MAX / 10 - 1)
            return false;
        *number = *number * 10 + (uint64_t)(**text - '0');
    }
    return *(*text)++ == ' ';
}

bool
drop_file_parse(struct drop_file *drop, const char text[DROP_FILE_FOOTER_LEN],
                uint64_t size)
{
    const char *at = text + sizeof start - 1;
    uint64_t pid;

    if (memcmp(text, start, sizeof start - 1) != 0 ||
        text[DROP_FILE_FOOTER_LEN - 1] != '\n' ||
        !scan_field(&at, 20, &drop->message_len) ||
        !scan_field(&at, 10, &drop->envelope_len) || !scan_field(&at, 10, &pid) ||
        pid > UINT32_MAX || size < DROP_FILE_FOOTER_LEN)
        return false;
    drop->pid = (uint32_t)pid;
    uint64_t content = size - DROP_FILE_FOOTER_LEN;
    return drop->envelope_len <= content &&
           drop->message_len == content - drop->envelope_len;
}
