#include "address_tokens.h"

#include <errno.h>
#include <string.h>

#include "text.h"

static bool
is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static bool
is_sign(char byte)
{
    return byte && strchr("<>@,;:.", byte);
}

/* Each skip function gets the offset of the first byte and returns the offset behind the
 * last, or 0 when there is no end. */

static size_t
skip_atom(const char *text, size_t len, size_t at)
{
    while (at < len && !is_space(text[at]) && !is_sign(text[at]) && text[at] != '(' &&
           text[at] != '[' && text[at] != '"')
        at += text[at] == '\\' && at + 1 < len ? 2 : 1;
    return at;
}

static size_t
skip_to(const char *text, size_t len, size_t at, char closing)
{
    for (at++; at < len; at++) {
        if (text[at] == closing)
            return at + 1;
        if (text[at] == '\\')
            at++;
    }
    return 0;
}

static size_t
skip_comment(const char *text, size_t len, size_t at)
{
    size_t depth = 0;
    for (; at < len; at++) {
        if (text[at] == '(')
            depth++;
        else if (text[at] == ')' && --depth == 0)
            return at + 1;
        else if (text[at] == '\\')
            at++;
    }
    return 0;
}

static size_t
skip_token(const char *text, size_t len, struct address_token *token)
{
    size_t at = token->begin;
    token->type = text[at];
    switch (text[at]) {
    case ADDRESS_TOKEN_COMMENT:
        return skip_comment(text, len, at);
    case ADDRESS_TOKEN_QUOTED:
        return skip_to(text, len, at, '"');
    case ADDRESS_TOKEN_LITERAL:
        return skip_to(text, len, at, ']');
    }
    if (is_sign(text[at]))
        return at + 1;
    token->type = ADDRESS_TOKEN_ATOM;
    return skip_atom(text, len, at);
}

bool
address_tokens_read(genalloc *tokens, const char *text, size_t len)
{
    size_t at = 0;
    genalloc_setlen(struct address_token, tokens, 0);
    if (len >= UINT32_MAX) {
        errno = EPROTO;
        return false;
    }
    for (;;) {
        while (at < len && is_space(text[at]))
            at++;
        if (at >= len)
            return true;
        struct address_token token = {.begin = (uint32_t)at};
        at = skip_token(text, len, &token);
        if (!at) {
            errno = EPROTO;
            return false;
        }
        token.end = (uint32_t)at;
        if (!genalloc_append(struct address_token, tokens, &token))
            return false;
    }
}

bool
address_token_append(stralloc *out, const char *text, const struct address_token *token)
{
    bool is_literal = token->type == ADDRESS_TOKEN_LITERAL;
    bool is_quoted = token->type == ADDRESS_TOKEN_QUOTED;
    size_t end = token->end - is_quoted;

    for (size_t at = token->begin + is_quoted; at < end; at++) {
        if (text[at] == '\\' && at + 1 < end)
            at++;
        if (text[at] == '\n' || text[at] == '\r' || (is_literal && is_space(text[at])))
            continue;
        if (!text_append_bytes(out, text + at, 1))
            return false;
    }
    return true;
}

static bool
is_line_end(char byte)
{
    return byte == '\r' || byte == '\n';
}

bool
address_tokens_append_source(stralloc *out, const char *text, size_t begin, size_t end)
{
    for (size_t at = begin; at < end; at++) {
        bool is_pair = text[at] == '\\' && at + 1 < end;
        bool is_lone_return = text[at] == '\r' && at + 1 < end && text[at + 1] != '\n';
        if (is_lone_return && !text_append_bytes(out, " ", 1))
            return false;
        if (is_line_end(text[at]) || (is_pair && is_line_end(text[at + 1])))
            continue;
        if (!text_append_bytes(out, text + at, is_pair ? 2 : 1))
            return false;
        at += is_pair;
    }
    return true;
}

bool
address_token_is_word(const struct address_token *token)
{
    return token->type == ADDRESS_TOKEN_ATOM || token->type == ADDRESS_TOKEN_QUOTED ||
           token->type == ADDRESS_TOKEN_LITERAL;
}
