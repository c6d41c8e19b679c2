/* What delivery processes may say: first byte 0 to 3 chooses the kind of report,
 * the rest is it. The result is always one string per recipient, with a letter,
 * within its length. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "spawn_report.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
require(int condition)
{
    if (!condition)
        abort();
}

static void
check(const stralloc *report, unsigned int recipients)
{
    size_t at = 0;
    while (at < report->len) {
        size_t text = strnlen(report->s + at, report->len - at);
        require(text >= 1 && text <= SPAWN_REPORT_TEXT_MAX + 1);
        require(strchr("KZD", report->s[at]) != NULL);
        at += text + 1;
        require(recipients-- > 0);
    }
    require(at == report->len && recipients == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    stralloc report = STRALLOC_ZERO;
    stralloc output = STRALLOC_ZERO;
    struct handoff packet = {0};
    unsigned int recipients = 1;

    if (len < 2 || len > HANDOFF_STRINGS_MAX)
        return 0;
    int status = bytes[1] * 0x100; /* an exit code */
    require(text_copy_bytes(&output, (const char *)bytes + 2, len - 2));
    if (bytes[0] == 0) {
        require(spawn_report_append_remote(&report, "p", status, &output));
    } else if (bytes[0] == 1) {
        require(spawn_report_append_local(&report, "p", status, &output));
    } else {
        /* as handoff_receive leaves it: strings after four bytes, the last one ended */
        recipients = bytes[1] % 8 + 1;
        require(text_copy_bytes(&packet.packet, "len ", 4) &&
                text_append_bytes(&packet.packet, output.s, output.len) &&
                stralloc_0(&packet.packet));
        packet.strings_len = output.len + 1;
        int good = spawn_report_append(&report, &packet, recipients,
                                       spawn_report_room(recipients));
        require(good >= 0);
        if (!good)
            recipients = 0;
    }
    check(&report, recipients);
    stralloc_free(&report);
    stralloc_free(&output);
    stralloc_free(&packet.packet);
    return 0;
}
