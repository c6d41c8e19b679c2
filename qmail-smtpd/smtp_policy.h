#ifndef SMTP_POLICY_H
#define SMTP_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "name_map.h"
#include "rcpthosts.h"

/* What the administrator allows, from control/ and the environment; each file is read
 * when it first matters, and once. */

struct smtp_limit {
    bool is_known;
    uint64_t value;
};

struct smtp_policy {
    struct smtp_limit databytes;
    struct smtp_limit max_recipients;
    struct smtp_limit max_errors;
    bool has_bad_senders; /* control/badmailfrom is read */
    struct name_map bad_senders;
    const char *relay_client; /* RELAYCLIENT; null: not set */
    struct rcpthosts rcpthosts;
};

enum smtp_verdict { SMTP_VERDICT_ERROR, SMTP_VERDICT_NO, SMTP_VERDICT_YES };

void smtp_policy_init(struct smtp_policy *policy);
void smtp_policy_free(struct smtp_policy *policy);

/* Limits; 0 means none. Each returns true, or false: a control file is unreadable, or
 * holds no number. */
bool smtp_policy_databytes(struct smtp_policy *policy, uint64_t *value);
bool smtp_policy_max_recipients(struct smtp_policy *policy, uint64_t *value);
bool smtp_policy_max_errors(struct smtp_policy *policy, uint64_t *value);

/* Is this sender in control/badmailfrom, as an address or as @host? */
enum smtp_verdict smtp_policy_is_bad_sender(struct smtp_policy *policy,
                                            const char *sender);

/* May mail be sent to this address? RELAYCLIENT, control/rcpthosts,
 * control/morercpthosts.cdb; an address without a domain always. */
enum smtp_verdict smtp_policy_may_send_to(struct smtp_policy *policy,
                                          const char *recipient);

#endif
