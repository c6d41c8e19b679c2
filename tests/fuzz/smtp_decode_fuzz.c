/* Fuzz the decoder of DATA against a plain one that looks at one byte at a time. The
 * first byte of the input says how the rest is cut into reads. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "smtp_decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
check(bool holds)
{
    if (!holds)
        abort();
}

struct outcome {
    char *decoded;
    size_t decoded_len;
    size_t used;
    bool is_end;
    bool has_bare;
};

/* The rules, word for word: RFC 5321 4.5.2. Decoded counts only where nothing is bare. */
static void
decode_plainly(struct outcome *outcome, const char *text, size_t len)
{
    bool is_line_start = true;
    size_t i = 0;
    while (i < len) {
        if (is_line_start && text[i] == '.') {
            if (len - i >= 3 && text[i + 1] == '\r' && text[i + 2] == '\n') {
                outcome->used = i + 3;
                outcome->is_end = true;
                return;
            }
            is_line_start = false;
            i++;
            continue;
        }
        is_line_start = false;
        if (text[i] == '\r' && i + 1 < len && text[i + 1] == '\n') {
            outcome->decoded[outcome->decoded_len++] = '\n';
            is_line_start = true;
            i += 2;
            continue;
        }
        if (text[i] == '\n' || (text[i] == '\r' && i + 1 < len))
            outcome->has_bare = true;
        if (text[i] != '\r' || i + 1 < len)
            outcome->decoded[outcome->decoded_len++] = text[i];
        i++;
    }
}

static void
decode_in_pieces(struct outcome *outcome, const char *text, size_t len, size_t piece)
{
    struct smtp_decode decode;
    char *window = malloc(len + 1);
    size_t held = 0, given = 0;

    check(window != NULL);
    smtp_decode_start(&decode);
    while (!outcome->is_end && given < len) {
        size_t used, out_len, take = piece < len - given ? piece : len - given;
        memcpy(window + held, text + given, take);
        held += take;
        given += take;
        outcome->is_end = smtp_decode_block(&decode, window, held, &used, &out_len);
        check(used <= held && out_len <= used);
        check(outcome->is_end || held - used <= 2);
        memcpy(outcome->decoded + outcome->decoded_len, window, out_len);
        outcome->decoded_len += out_len;
        held -= used;
        memmove(window, window + used, held);
    }
    outcome->used = given - held;
    outcome->has_bare = decode.has_bare;
    free(window);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct outcome plain = {0}, fast = {0};
    if (len < 2)
        return 0;
    const char *text = (const char *)bytes + 1;
    size_t piece = bytes[0] ? bytes[0] : len;

    plain.decoded = malloc(len);
    fast.decoded = malloc(len);
    check(plain.decoded && fast.decoded);
    decode_plainly(&plain, text, len - 1);
    decode_in_pieces(&fast, text, len - 1, piece);
    check(plain.is_end == fast.is_end);
    if (plain.is_end) {
        check(plain.used == fast.used && plain.has_bare == fast.has_bare);
        check(plain.decoded_len == fast.decoded_len);
        check(memcmp(plain.decoded, fast.decoded, fast.decoded_len) == 0);
    }
    free(plain.decoded);
    free(fast.decoded);
    return 0;
}
