/* qmail-queued's check of an envelope: in one piece and byte by byte it says the
 * same, and what it takes is F sender NUL { T recipient NUL } NUL with addresses
 * of at most 1002 bytes. */
#include "envelope_check.h"

#include <stdlib.h>
#include <string.h>

#include "exitcode.h"
#include "injection.h"

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len);

static void
require_form(const char *text, size_t len)
{
    size_t at = 0;
    for (char letter = 'F'; at < len && text[at]; letter = 'T') {
        const char *end = memchr(text + at, '\0', len - at);
        if (text[at] != letter || !end || end - (text + at) > INJECTION_ADDRESS_MAX + 1)
            abort();
        at = (size_t)(end - text) + 1;
    }
    if (at + 1 != len || text[at])
        abort();
}

int
LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len)
{
    struct envelope_check whole = {0};
    struct envelope_check pieces = {0};
    const char *text = (const char *)bytes;
    unsigned int code = envelope_check(&whole, text, len);
    unsigned int code_of_pieces = QUEUE_OK;

    for (size_t i = 0; i < len && code_of_pieces == QUEUE_OK; i++)
        code_of_pieces = envelope_check(&pieces, text + i, 1);
    if (code != code_of_pieces || (code == QUEUE_OK && whole.place != pieces.place))
        abort();
    if (code == QUEUE_OK && whole.place == ENVELOPE_END)
        require_form(text, len);
    return 0;
}
