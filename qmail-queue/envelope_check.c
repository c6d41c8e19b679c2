#include "envelope_check.h"

#include "exitcode.h"
#include "injection.h"
#include "queue_file.h"

static unsigned int
check_letter(struct envelope_check *check, char letter)
{
    check->address_len = 0;
    if (check->place == ENVELOPE_START && letter == 'F')
        check->place = ENVELOPE_SENDER;
    else if (check->place == ENVELOPE_LETTER && letter == 'T' &&
             check->recipients++ < QUEUE_FILE_RECIPIENTS_MAX)
        check->place = ENVELOPE_RECIPIENT;
    else if (check->place == ENVELOPE_LETTER && letter == '\0')
        check->place = ENVELOPE_END;
    else
        return QUEUE_BAD_ENVELOPE;
    return QUEUE_OK;
}

unsigned int
envelope_check(struct envelope_check *check, const char *bytes, size_t len)
{
    for (; len; len--, bytes++) {
        if (check->place != ENVELOPE_SENDER && check->place != ENVELOPE_RECIPIENT) {
            unsigned int code = check_letter(check, *bytes);
            if (code != QUEUE_OK)
                return code;
        } else if (*bytes == '\0') {
            check->place = ENVELOPE_LETTER;
        } else if (++check->address_len > INJECTION_ADDRESS_MAX) {
            return QUEUE_ADDRESS_TOO_LONG;
        }
    }
    return QUEUE_OK;
}
