#include "remote_report.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

bool
remote_report_reset(struct remote_report *report, size_t recipients)
{
    if (recipients > report->room) {
        if (recipients > SIZE_MAX / sizeof *report->recipients)
            return false;
        struct remote_outcome *larger =
            realloc(report->recipients, recipients * sizeof *larger);
        if (!larger)
            return false;
        report->recipients = larger;
        report->room = recipients;
    }
    if (recipients)
        memset(report->recipients, 0, recipients * sizeof *report->recipients);
    report->count = recipients;
    report->texts.len = 0;
    report->letter = '\0';
    return text_copy(&report->text, "");
}

bool
remote_report_recipient(struct remote_report *report, size_t index, char letter,
                        const char *text)
{
    report->recipients[index] =
        (struct remote_outcome){.letter = letter, .at = report->texts.len};
    return text_append_string(&report->texts, text);
}

bool
remote_report_message(struct remote_report *report, char letter, const char *text)
{
    report->letter = letter;
    return text_copy(&report->text, text);
}

/* A report without a verdict is a program error; temporary: that loses nothing. */
static char
message_letter(const struct remote_report *report)
{
    return report->letter ? report->letter : 'Z';
}

bool
remote_report_append_classic(stralloc *out, const struct remote_report *report)
{
    for (size_t i = 0; i < report->count && report->recipients[i].letter; i++) {
        const struct remote_outcome *outcome = &report->recipients[i];
        if (!stralloc_append(out, outcome->letter) ||
            !text_append_string(out, report->texts.s + outcome->at))
            return false;
    }
    return stralloc_append(out, message_letter(report)) &&
           stralloc_catb(out, report->text.s, report->text.len) && stralloc_0(out);
}

static bool
append_string(stralloc *out, char letter, const char *text, size_t text_max)
{
    size_t len = strlen(text);
    return stralloc_append(out, letter) &&
           stralloc_catb(out, text, len < text_max ? len : text_max) && stralloc_0(out);
}

bool
remote_report_append_merged(stralloc *out, const struct remote_report *report,
                            size_t total_max)
{
    size_t each = report->count ? total_max / report->count : 0;
    each = each > 2 ? each - 2 : 0; /* the letter and the '\0' */
    if (each > REMOTE_REPORT_TEXT_MAX)
        each = REMOTE_REPORT_TEXT_MAX;
    for (size_t i = 0; i < report->count; i++) {
        const struct remote_outcome *outcome = &report->recipients[i];
        char letter = message_letter(report);
        const char *text = report->text.s;
        if (outcome->letter == 'h' || outcome->letter == 's') {
            letter = outcome->letter == 'h' ? 'D' : 'Z';
            text = report->texts.s + outcome->at;
        }
        if (!append_string(out, letter, text, each))
            return false;
    }
    return true;
}

void
remote_report_free(struct remote_report *report)
{
    free(report->recipients);
    stralloc_free(&report->texts);
    stralloc_free(&report->text);
    memset(report, 0, sizeof *report);
}
