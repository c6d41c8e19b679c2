#include "smtp_policy.h"

#include <stdlib.h>
#include <string.h>

#include <skalibs/types.h>

#include "address.h"
#include "control.h"

enum {
    DEFAULT_RECIPIENTS = 1000, /* RFC 5321 4.5.3.1.8 asks for 100 */
    DEFAULT_ERRORS = 100,      /* a list with as many dead recipients is still served */
};

void
smtp_policy_init(struct smtp_policy *policy)
{
    memset(policy, 0, sizeof *policy);
    policy->relay_client = getenv("RELAYCLIENT");
    rcpthosts_init(&policy->rcpthosts);
}

void
smtp_policy_free(struct smtp_policy *policy)
{
    name_map_free(&policy->bad_senders);
    rcpthosts_free(&policy->rcpthosts);
}

static bool
read_limit(struct smtp_limit *limit, const char *path, uint64_t otherwise)
{
    if (limit->is_known)
        return true;
    limit->value = otherwise;
    limit->is_known = control_read_number(&limit->value, path) != CONTROL_ERROR;
    return limit->is_known;
}

bool
smtp_policy_databytes(struct smtp_policy *policy, uint64_t *value)
{
    struct smtp_limit *limit = &policy->databytes;
    const char *own = getenv("DATABYTES");
    if (!limit->is_known && own) {
        /* empty is none, as in qmail; what cannot be understood must not become none */
        limit->is_known = !*own || uint640_scan(own, &limit->value) != 0;
        if (!limit->is_known)
            return false;
    }
    if (!read_limit(limit, "control/databytes", 0))
        return false;
    *value = limit->value;
    return true;
}

bool
smtp_policy_max_recipients(struct smtp_policy *policy, uint64_t *value)
{
    if (!read_limit(&policy->max_recipients, "control/maxrecipients", DEFAULT_RECIPIENTS))
        return false;
    *value = policy->max_recipients.value;
    return true;
}

bool
smtp_policy_max_errors(struct smtp_policy *policy, uint64_t *value)
{
    if (!read_limit(&policy->max_errors, "control/maxerrors", DEFAULT_ERRORS))
        return false;
    *value = policy->max_errors.value;
    return true;
}

static bool
read_bad_senders(struct smtp_policy *policy)
{
    stralloc list = STRALLOC_ZERO;
    enum control_status status = control_read_list(&list, "control/badmailfrom");
    policy->has_bad_senders =
        status == CONTROL_ABSENT ||
        (status == CONTROL_FOUND && name_map_build(&policy->bad_senders, &list, '\0'));
    stralloc_free(&list);
    return policy->has_bad_senders;
}

enum smtp_verdict
smtp_policy_is_bad_sender(struct smtp_policy *policy, const char *sender)
{
    const struct name_map *bad = &policy->bad_senders;
    if (!policy->has_bad_senders && !read_bad_senders(policy))
        return SMTP_VERDICT_ERROR;
    const char *domain = address_domain(sender);
    if (!*sender || !bad->count)
        return SMTP_VERDICT_NO;
    bool is_bad = name_map_find(bad, sender, strlen(sender)) ||
                  (domain && name_map_find(bad, domain - 1, strlen(domain) + 1));
    return is_bad ? SMTP_VERDICT_YES : SMTP_VERDICT_NO;
}

enum smtp_verdict
smtp_policy_may_send_to(struct smtp_policy *policy, const char *recipient)
{
    const char *domain = address_domain(recipient);
    if (policy->relay_client || !domain)
        return SMTP_VERDICT_YES;
    switch (rcpthosts_find(&policy->rcpthosts, domain)) {
    case RCPTHOSTS_FOUND:
        return SMTP_VERDICT_YES;
    case RCPTHOSTS_ABSENT:
        return SMTP_VERDICT_NO;
    case RCPTHOSTS_ERROR:
        break;
    }
    return SMTP_VERDICT_ERROR;
}
