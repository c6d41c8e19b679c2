/* qreceipt: answer a request for a delivery notice, for a .qmail line.
 *
 * usage   qreceipt deliveryaddress
 * stdin   the message
 * stdout  "qp <pid>" when a notice was queued
 * env     SENDER, who gets the notice; QMAILHOME, QMAILQUEUE
 * exit    0 done, or nothing to do: no Notice-Requested-Upon-Delivery-To field names
 *         deliveryaddress, or the message is a bounce; 100 bad usage, or the notice was
 *         refused; 111 trouble, try again
 * spec    the field is qmail's own; its value is an address list, RFC 5322 3.4
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/buffer.h>
#include <skalibs/strerr.h>

#include "address.h"
#include "address_list.h"
#include "die.h"
#include "exitcode.h"
#include "header.h"
#include "header_read.h"
#include "home.h"
#include "injection.h"
#include "text.h"

enum { HEADER_MAX = 1024 * 1024 };

struct wanted {
    const char *address;
    bool was_seen;
};

static bool
look(void *context, struct mailbox *mailbox)
{
    struct wanted *wanted = context;
    stralloc raw = STRALLOC_ZERO;

    if (!mailbox_append_raw(&raw, mailbox))
        return false;
    if (raw.len && strcasecmp(raw.s, wanted->address) == 0)
        wanted->was_seen = true;
    stralloc_free(&raw);
    return true;
}

/* returns  the length of the header without the empty line */
static size_t
find_request(const stralloc *header, struct wanted *wanted)
{
    struct address_visitor visitor = {.visit = look, .context = wanted};
    struct header_field field;
    stralloc ignored = STRALLOC_ZERO;
    size_t at = 0;

    while (header_next(header->s, header->len, &at, &field)) {
        if (!header_field_is(&field, "Notice-Requested-Upon-Delivery-To"))
            continue;
        ignored.len = 0;
        if (address_list_rewrite(&ignored, field.value, field.value_len, &visitor) ==
            ADDRESS_LIST_STOPPED)
            die_temp("understand", "the header");
    }
    stralloc_free(&ignored);
    return at;
}

static void
make_notice(stralloc *notice, const char *sender, const char *address)
{
    bool ok = text_copy(notice, "Date: ") && text_append_date(notice, time(NULL)) &&
              text_append(notice, "\nFrom: DELIVERY NOTICE SYSTEM <") &&
              address_append_quoted(notice, address) && text_append(notice, ">\nTo: <") &&
              address_append_quoted(notice, sender) &&
              text_append(notice, ">\nSubject: success notice\nAuto-Submitted: "
                                  "auto-replied\n\n"
                                  "Your message was delivered to this address:\n\n"
                                  "   <") &&
              address_append_quoted(notice, address) &&
              text_append(notice, ">\n\n"
                                  "You asked for this notice with a "
                                  "Notice-Requested-Upon-Delivery-To field.\n\n"
                                  "--- The header of your message follows.\n\n");
    if (!ok)
        die_temp("write", "the notice");
}

static void
send_notice(const char *sender, const char *address, const stralloc *header, size_t len)
{
    struct injection injection;
    struct injection_receipt receipt = {0};
    stralloc notice = STRALLOC_ZERO;

    make_notice(&notice, sender, address);
    injection_init_local(&injection);
    injection_start(&injection);
    (void)(injection_put(&injection, notice.s, notice.len) &&
           injection_put(&injection, header->s, len));
    (void)injection_sender(&injection, "");
    (void)injection_recipient(&injection, sender);
    if (!home_enter())
        die_temp("enter", home_path());
    if (injection_commit(&injection, &receipt)) {
        if (text_copy(&notice, "qp ") && text_append_number(&notice, receipt.pid) &&
            text_append(&notice, "\n"))
            (void)(buffer_put(buffer_1, notice.s, notice.len) >= 0 &&
                   buffer_flush(buffer_1));
        return;
    }
    if (exitcode_queue_is_permanent(receipt.code))
        die_perm(exitcode_queue_text(receipt.code));
    errno = EIO;
    die_temp("queue the notice;", exitcode_queue_text(receipt.code));
}

/* The sender, or null for a bounce, which nothing may answer. */
static const char *
find_sender(void)
{
    const char *sender = getenv("SENDER");

    if (sender)
        return *sender && strcmp(sender, "#@[]") != 0 ? sender : NULL;
    die_perm("SENDER is not set");
}

int
main(int argc, const char *const *argv)
{
    stralloc header = STRALLOC_ZERO;

    PROG = "qreceipt";
    if (argc != 2)
        die_usage("qreceipt deliveryaddress");
    struct wanted wanted = {.address = argv[1]};
    const char *sender = find_sender();
    if (!sender)
        return 0;
    if (!header_read(&header, HEADER_MAX))
        die_temp("read", "the message");
    size_t len = find_request(&header, &wanted);
    if (wanted.was_seen)
        send_notice(sender, argv[1], &header, len);
    return 0;
}
