#include "address.h"

#include <string.h>
#include <strings.h>

#include <arpa/inet.h>

#include "text.h"

enum {
    DOMAIN_MAX = 255, /* RFC 5321 4.5.3.1.2 */
    LABEL_MAX = 63,   /* RFC 1035 2.3.4 */
};

static bool
is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* atext of RFC 5322 3.2.3 */
static bool
is_atom_byte(char c)
{
    return is_letter_or_digit(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool
is_not_ascii(char c)
{
    return (unsigned char)c > 127;
}

static enum address_status
append(stralloc *raw, char c)
{
    if (raw->len >= ADDRESS_MAX)
        return ADDRESS_TOO_LONG;
    return stralloc_append(raw, c) ? ADDRESS_OK : ADDRESS_NO_MEMORY;
}

/* Quoted-string of RFC 5321 4.1.2: *at stands on the opening quote and ends behind the
 * other. */
static enum address_status
take_quoted(stralloc *raw, const char **at)
{
    const char *p = *at + 1;
    enum address_status status = ADDRESS_OK;

    for (; *p != '"' && status == ADDRESS_OK; p++) {
        if (*p == '\\')
            p++;
        if (is_not_ascii(*p))
            return ADDRESS_NOT_ASCII;
        if (*p < 32 || *p == 127)
            return ADDRESS_BAD;
        status = append(raw, *p);
    }
    *at = p + 1;
    return status;
}

/* Local-part of RFC 5321 4.1.2, and obs-local-part of RFC 5322 4.4: words with dots
 * between, before or behind, up to the first byte that is in none. */
static enum address_status
take_local(stralloc *raw, const char **at)
{
    const char *start = *at;
    enum address_status status = ADDRESS_OK;

    while (status == ADDRESS_OK) {
        bool ends_quoted = *at != start && (*at)[-1] == '"';
        if (**at == '"') {
            if (*at != start && (*at)[-1] != '.')
                return ADDRESS_BAD;
            status = take_quoted(raw, at);
        } else if (ends_quoted && is_atom_byte(**at)) {
            return ADDRESS_BAD;
        } else if (is_atom_byte(**at) || **at == '.') {
            status = append(raw, *(*at)++);
        } else if (is_not_ascii(**at)) {
            status = ADDRESS_NOT_ASCII;
        } else {
            return *at == start ? ADDRESS_BAD : ADDRESS_OK;
        }
    }
    return status;
}

/* "[1.2.3.4]" or "[IPv6:...]", RFC 5321 4.1.3. returns its length, or 0 if it is none */
static size_t
literal_len(const char *text)
{
    char address[INET6_ADDRSTRLEN + 1];
    unsigned char binary[16];
    const char *end = strchr(text, ']');
    if (!end)
        return 0;
    bool is_ip6 = strncasecmp(text + 1, "IPv6:", 5) == 0;
    const char *start = text + (is_ip6 ? 6 : 1);
    if (end < start || (size_t)(end - start) >= sizeof address)
        return 0;
    memcpy(address, start, (size_t)(end - start));
    address[end - start] = '\0';
    if (inet_pton(is_ip6 ? AF_INET6 : AF_INET, address, binary) != 1)
        return 0;
    return (size_t)(end + 1 - text);
}

/* Labels of letters, digits, hyphens inside, and underscores, which real hosts have. */
static enum address_status
name_len(const char *text, size_t *len)
{
    size_t i = 0;
    size_t label = 0;

    for (;; i++) {
        char c = text[i];
        if (is_not_ascii(c))
            return ADDRESS_NOT_ASCII;
        if (is_letter_or_digit(c) || c == '_' || (c == '-' && label)) {
            if (++label > LABEL_MAX)
                return ADDRESS_BAD;
            continue;
        }
        if (!label || text[i - 1] == '-')
            return ADDRESS_BAD;
        if (c != '.')
            break;
        label = 0;
    }
    *len = i;
    return i <= DOMAIN_MAX ? ADDRESS_OK : ADDRESS_TOO_LONG;
}

static enum address_status
take_domain(stralloc *raw, const char **at)
{
    size_t len;
    enum address_status status = ADDRESS_OK;

    if (**at == '[') {
        if (!(len = literal_len(*at)))
            return ADDRESS_BAD;
    } else if ((status = name_len(*at, &len)) != ADDRESS_OK) {
        return status;
    }
    for (; len && status == ADDRESS_OK; len--)
        status = append(raw, *(*at)++);
    return status;
}

/* Skip "@one,@two:" (RFC 5321 appendix C: ignore it). */
static enum address_status
skip_route(const char **at)
{
    stralloc ignored = STRALLOC_ZERO;
    enum address_status status;

    for (;;) {
        ++*at; /* the '@' */
        ignored.len = 0;
        status = take_domain(&ignored, at);
        if (status != ADDRESS_OK || (*at)[0] != ',' || (*at)[1] != '@')
            break;
        ++*at;
    }
    stralloc_free(&ignored);
    if (status != ADDRESS_OK)
        return status;
    if (**at != ':')
        return ADDRESS_BAD;
    ++*at;
    return ADDRESS_OK;
}

/* Mailbox of RFC 5321 4.1.2, also without a domain. */
static enum address_status
take_mailbox(stralloc *raw, const char **at)
{
    enum address_status status = take_local(raw, at);
    if (status != ADDRESS_OK)
        return status;
    if (**at !=
        '@') /* raw, "a@b" in quotes would get a domain, and "" is the null sender */
        return raw->len && !memchr(raw->s, '@', raw->len) ? ADDRESS_OK : ADDRESS_BAD;
    ++*at;
    status = append(raw, '@');
    return status == ADDRESS_OK ? take_domain(raw, at) : status;
}

enum address_status
address_parse_path(stralloc *raw, const char *text, const char **rest)
{
    const char *at = text + strspn(text, " \t");
    bool has_bracket = *at == '<';
    enum address_status status = ADDRESS_OK;

    raw->len = 0;
    at += has_bracket;
    if (*at == '@')
        status = skip_route(&at);
    if (status == ADDRESS_OK && !(has_bracket && at[-1] == '<' && *at == '>'))
        status = take_mailbox(raw, &at);
    if (status != ADDRESS_OK)
        return status;
    if (has_bracket && *at++ != '>')
        return ADDRESS_BAD;
    if (*at && *at != ' ' && *at != '\t')
        return ADDRESS_BAD;
    *rest = at;
    return text_append(raw, "") ? ADDRESS_OK : ADDRESS_NO_MEMORY;
}

const char *
address_domain(const char *raw)
{
    const char *at = strrchr(raw, '@');
    return at ? at + 1 : NULL;
}

/* Is this no Dot-string of RFC 5321 4.1.2? */
static bool
needs_quotes(const char *local, size_t len)
{
    if (!len || local[0] == '.' || local[len - 1] == '.')
        return true;
    for (size_t i = 0; i < len; i++)
        if (!is_atom_byte(local[i]) && (local[i] != '.' || local[i - 1] == '.'))
            return true;
    return false;
}

static bool
is_control(char c)
{
    return (unsigned char)c < 32 || c == 127;
}

static bool
append_quoted_local(stralloc *out, const char *local, size_t len)
{
    if (!needs_quotes(local, len))
        return text_append_bytes(out, local, len);
    if (!text_append(out, "\""))
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = is_control(local[i]) ? '?' : local[i];
        if ((c == '"' || c == '\\') && !text_append(out, "\\"))
            return false;
        if (!text_append_bytes(out, &c, 1))
            return false;
    }
    return text_append(out, "\"");
}

bool
address_append_quoted(stralloc *out, const char *raw)
{
    if (!*raw)
        return text_append(out, "");
    const char *domain = address_domain(raw);
    size_t local_len = domain ? (size_t)(domain - 1 - raw) : strlen(raw);

    if (!append_quoted_local(out, raw, local_len))
        return false;
    if (!domain)
        return true;
    size_t start = out->len + 1;
    if (!text_append(out, "@") || !text_append(out, domain))
        return false;
    for (size_t i = start; i < out->len; i++)
        if (is_control(out->s[i]) || strchr(" <>", out->s[i]))
            out->s[i] = '?';
    return true;
}
