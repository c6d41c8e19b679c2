/* The reader of SMTP replies: any bytes, cut into pieces as the first byte says. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "remote_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct remote_reply reply = {.code = 0};
    char status[REMOTE_REPLY_STATUS_MAX];

    if (!size || !remote_reply_reset(&reply))
        return 0;
    size_t step = data[0] + 1U;
    for (size_t at = 1; at < size;) {
        size_t used, piece = size - at < step ? size - at : step;
        enum remote_reply_status end =
            remote_reply_feed(&reply, (const char *)data + at, piece, &used);
        if (used > piece || (end == REMOTE_REPLY_MORE && used != piece))
            abort();
        at += used;
        if (reply.text.len > REMOTE_REPLY_TEXT_MAX)
            abort();
        if (end == REMOTE_REPLY_DONE) {
            if (reply.code < 200 || reply.code > 599)
                abort();
            remote_reply_enhanced(status, &reply, ".0.0");
            if (strlen(status) >= sizeof status)
                abort();
            if (!remote_reply_reset(&reply))
                break;
        } else if (end == REMOTE_REPLY_BAD) {
            break;
        }
    }
    remote_reply_free(&reply);
    return 0;
}
