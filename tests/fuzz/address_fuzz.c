/* Fuzz the parser of MAIL FROM and RCPT TO paths. Whatever it accepts, quoted again, must
 * be accepted again and mean the same. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
check(bool holds)
{
    if (!holds)
        abort();
}

static void
check_round_trip(const char *raw)
{
    stralloc path = STRALLOC_ZERO;
    stralloc again = STRALLOC_ZERO;
    const char *rest;

    check(text_copy(&path, "<") && address_append_quoted(&path, raw) &&
          text_append(&path, ">"));
    for (size_t i = 0; i < path.len; i++)
        check(path.s[i] >= 32 && path.s[i] < 127);
    check(address_parse_path(&again, path.s, &rest) == ADDRESS_OK);
    check(strcmp(again.s, raw) == 0 && *rest == '\0');
    check(!!address_domain(again.s) == !!strchr(raw, '@'));
    stralloc_free(&path);
    stralloc_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char *text = malloc(len + 1);
    stralloc raw = STRALLOC_ZERO;
    stralloc quoted = STRALLOC_ZERO;
    const char *rest;

    check(text != NULL);
    memcpy(text, bytes, len);
    text[len] = '\0';
    if (address_parse_path(&raw, text, &rest) == ADDRESS_OK) {
        check(raw.len <= ADDRESS_MAX && raw.s[raw.len] == '\0');
        check(rest >= text && rest <= text + strlen(text));
        check(!*rest || *rest == ' ' || *rest == '\t');
        check_round_trip(raw.s);
    }
    /* any raw text is safe to print in quotes */
    check(address_append_quoted(&quoted, text));
    for (size_t i = 0; i < quoted.len; i++)
        check((unsigned char)quoted.s[i] >= 32 && quoted.s[i] != 127);
    stralloc_free(&raw);
    stralloc_free(&quoted);
    free(text);
    return 0;
}
