/* The lines of a .qmail file, which its user may fill with anything. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dot_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dot_lines lines;
    struct dot_line line;
    bool forward_only = size && data[0] == 'x';
    char *text = malloc(size + 1);
    size_t total = 0;

    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    dot_lines_start(&lines, text, size, forward_only);
    while (dot_lines_next(&lines, &line)) {
        size_t len = strlen(line.text);
        total += len + 1;
        if (line.text < text || line.text + len > text + size)
            abort();
        if (line.kind == DOT_LINE_MAILDIR && line.text[len - 1] != '/')
            abort();
        if (line.kind == DOT_LINE_FORWARD && !len)
            abort();
        if (lines.forward_only &&
            (line.kind == DOT_LINE_PROGRAM || line.kind == DOT_LINE_MBOX))
            abort();
    }
    if (total > size + 1)
        abort();
    free(text);
    return 0;
}
