#include "local_result.h"

#include <errno.h>
#include <string.h>

#include "exitcode.h"
#include "text.h"

void
local_result_reset(struct local_result *result)
{
    result->code = EXITCODE_OK;
    result->text.len = 0;
}

/* Without memory for the text the code alone must do. */
static bool
fail(struct local_result *result, unsigned int code, const char *sentence)
{
    result->code = code;
    (void)(text_append(&result->text, sentence) && text_append(&result->text, "\n"));
    return false;
}

bool
local_result_refuse(struct local_result *result, const char *sentence)
{
    return fail(result, EXITCODE_PERMANENT, sentence);
}

bool
local_result_defer(struct local_result *result, const char *sentence)
{
    return fail(result, EXITCODE_TEMPORARY, sentence);
}

bool
local_result_defer_errno(struct local_result *result, const char *action,
                         const char *object, const char *status)
{
    const char *reason = strerror(errno);
    stralloc *text = &result->text;

    result->code = EXITCODE_TEMPORARY;
    bool ok = text_append(text, "unable to ") && text_append(text, action);
    if (ok && object)
        ok = text_append(text, " ") &&
             text_append_safe(text, object, strlen(object), false);
    if (ok)
        (void)(text_append(text, ": ") && text_append(text, reason) &&
               text_append(text, " (#") && text_append(text, status) &&
               text_append(text, ")\n"));
    return false;
}

void
local_result_count(struct local_result *result, const unsigned int counts[3])
{
    for (unsigned int i = 0; i < 3; i++)
        if (!text_append(&result->text, i ? "+" : "did ") ||
            !text_append_number(&result->text, counts[i]))
            return;
    (void)text_append(&result->text, "\n");
}

void
local_result_free(struct local_result *result)
{
    stralloc_free(&result->text);
}
