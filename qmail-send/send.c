#include "send.h"

void
send_fail(struct send *send, const char *reason, int error)
{
    event_log_text(&send->log, "alert: ");
    event_log_line(&send->log, reason, error);
    send->is_fatal = true;
}
