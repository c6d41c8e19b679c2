#include "drop_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

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

bool
drop_file_parse(struct drop_file *drop, const char text[DROP_FILE_FOOTER_LEN],
                uint64_t size)
{
    const char *field = text + sizeof start - 1;
    uint64_t pid;

    if (memcmp(text, start, sizeof start - 1) != 0 ||
        text[DROP_FILE_FOOTER_LEN - 1] != '\n' ||
        !text_scan_digits(field, 20, 10, &drop->message_len) || field[20] != ' ' ||
        !text_scan_digits(field + 21, 10, 10, &drop->envelope_len) || field[31] != ' ' ||
        !text_scan_digits(field + 32, 10, 10, &pid) || field[42] != ' ' ||
        pid > UINT32_MAX || size < DROP_FILE_FOOTER_LEN)
        return false;
    drop->pid = (uint32_t)pid;
    uint64_t content = size - DROP_FILE_FOOTER_LEN;
    return drop->envelope_len <= content &&
           drop->message_len == content - drop->envelope_len;
}
