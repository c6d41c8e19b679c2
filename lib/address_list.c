#include "address_list.h"

#include <errno.h>
#include <string.h>

#include <skalibs/genalloc.h>

#include "address_tokens.h"
#include "text.h"

enum { COLUMNS = 72 };

enum piece_kind { PIECE_ADDRESS, PIECE_GROUP_START, PIECE_GROUP_END, PIECE_COMMENT };

/* An element of the list in final form; all lie in list.pieces_text, last first. */
struct piece {
    enum piece_kind kind;
    size_t begin;
    size_t end;
};

struct list {
    const char *text;
    const struct address_token *tokens;
    size_t at; /* tokens from here on are done */
    bool in_group;
    genalloc pieces;
    stralloc pieces_text;
    struct mailbox mailbox; /* the address in hand; reused */
    const struct address_visitor *visitor;
};

/* Tokens from begin to before end. */
struct range {
    size_t begin;
    size_t end;
};

static char
type_at(const struct list *list, size_t index)
{
    return list->tokens[index].type;
}

static bool
is_comment(const struct list *list, size_t index)
{
    return type_at(list, index) == ADDRESS_TOKEN_COMMENT;
}

/* Append the source text of the tokens as it is. */
static bool
append_verbatim(stralloc *out, const struct list *list, struct range range)
{
    return range.begin == range.end ||
           address_tokens_append_source(out, list->text, list->tokens[range.begin].begin,
                                        list->tokens[range.end - 1].end);
}

static bool
append_comments(stralloc *out, const struct list *list, struct range range)
{
    for (size_t i = range.begin; i < range.end; i++)
        if (is_comment(list, i) &&
            (!text_append(out, " ") ||
             !append_verbatim(out, list, (struct range){i, i + 1})))
            return false;
    return true;
}

/* Append the address in hand; with brackets always, or only where nothing
 * else would be seen. */
static bool
append_address(struct list *list, bool with_brackets)
{
    stralloc *out = &list->pieces_text;
    with_brackets = with_brackets || mailbox_is_empty(&list->mailbox);
    return (!with_brackets || text_append(out, "<")) &&
           mailbox_append(out, &list->mailbox) &&
           (!with_brackets || text_append(out, ">"));
}

static enum address_list_status
add_piece(struct list *list, enum piece_kind kind, size_t begin)
{
    struct piece piece = {.begin = begin, .end = list->pieces_text.len};
    piece.kind = kind;
    return genalloc_append(struct piece, &list->pieces, &piece) ? ADDRESS_LIST_OK
                                                                : ADDRESS_LIST_STOPPED;
}

/* "@a,@b:user@c" means user@c, RFC 5321 4.1.1.3; a route without end is nothing. */
static struct range
without_route(const struct list *list, struct range range)
{
    size_t i = range.begin;
    while (i < range.end && is_comment(list, i))
        i++;
    if (i == range.end || type_at(list, i) != '@')
        return range;
    while (i < range.end && type_at(list, i) != ':')
        i++;
    range.begin = i < range.end ? i + 1 : range.end;
    return range;
}

/* Find the '@' before the host; an '@' at the very end is left out of *range.
 * returns  its index, or range->end when there is none */
static size_t
find_at(const struct list *list, struct range *range)
{
    for (size_t i = range->end; i > range->begin; i--) {
        if (is_comment(list, i - 1))
            continue;
        if (type_at(list, i - 1) == '@')
            range->end = i - 1;
        else
            break;
    }
    for (size_t i = range->end; i > range->begin; i--)
        if (type_at(list, i - 1) == '@')
            return i - 1;
    return range->end;
}

/* The raw form of an address is divided at its last '@', and must be fit to be printed:
 * a host has no quoting of its own. */
static bool
is_host(const stralloc *host)
{
    bool is_literal = host->len && host->s[0] == '[';
    const char *forbidden = is_literal ? "()<>@,;\"\\" : "()<>@,;\"\\:[";
    for (size_t i = 0; i < host->len; i++)
        if ((unsigned char)host->s[i] <= ' ' || host->s[i] == 127 ||
            strchr(forbidden, host->s[i]))
            return false;
    return !is_literal || memchr(host->s, ']', host->len) == host->s + host->len - 1;
}

/* Join words, dots and '@' to the text they mean. Blanks between words of a local part
 * are kept as one blank (it will be quoted). */
static enum address_list_status
read_part(stralloc *out, const struct list *list, struct range range, bool wants_host)
{
    bool after_word = false;
    out->len = 0;
    if (!text_append(out, ""))
        return ADDRESS_LIST_STOPPED;
    for (size_t i = range.begin; i < range.end; i++) {
        const struct address_token *token = list->tokens + i;
        bool is_word = address_token_is_word(token);
        if (is_comment(list, i))
            continue;
        if (!is_word && token->type != '.' && token->type != '@')
            return ADDRESS_LIST_SYNTAX;
        if (wants_host &&
            ((is_word && after_word) || token->type == ADDRESS_TOKEN_QUOTED))
            return ADDRESS_LIST_SYNTAX;
        if (is_word && after_word && !text_append(out, " "))
            return ADDRESS_LIST_STOPPED;
        if (is_word ? !address_token_append(out, list->text, token)
                    : !text_append_bytes(out, &token->type, 1))
            return ADDRESS_LIST_STOPPED;
        after_word = is_word;
    }
    return memchr(out->s, '\0', out->len) || (wants_host && !is_host(out))
               ? ADDRESS_LIST_SYNTAX
               : ADDRESS_LIST_OK;
}

/* Understand the tokens of one address, and let the visitor see and change it. */
static enum address_list_status
read_address(struct list *list, struct range range)
{
    struct mailbox *mailbox = &list->mailbox;
    range = without_route(list, range);
    size_t at = find_at(list, &range);
    mailbox->has_at = at < range.end;
    enum address_list_status status =
        read_part(&mailbox->local, list, (struct range){range.begin, at}, false);
    struct range host = {mailbox->has_at ? at + 1 : at, range.end};
    if (status == ADDRESS_LIST_OK)
        status = read_part(&mailbox->host, list, host, true);
    if (status == ADDRESS_LIST_OK &&
        !list->visitor->visit(list->visitor->context, mailbox))
        status = ADDRESS_LIST_STOPPED;
    return status;
}

/* An address without <>: words that dots and '@' join. Where two words meet,
 * a comma is missing. Comments before the first word belong to it only where nothing
 * else could own them. */
static enum address_list_status
take_bare(struct list *list, size_t tail_end)
{
    const size_t end = list->at;
    size_t begin = end;
    size_t i = end;
    for (bool after_word = false; i > 0; i--) {
        if (is_comment(list, i - 1))
            continue;
        bool is_word = address_token_is_word(list->tokens + i - 1);
        if (is_word ? after_word
                    : type_at(list, i - 1) != '.' && type_at(list, i - 1) != '@')
            break;
        after_word = is_word;
        begin = i - 1;
    }
    bool owns_comments = i == 0 || strchr(",;:", type_at(list, i - 1));
    list->at = owns_comments ? i : begin;
    enum address_list_status status = read_address(list, (struct range){begin, end});
    if (status != ADDRESS_LIST_OK)
        return status;
    stralloc *out = &list->pieces_text;
    size_t start = out->len;
    struct range comments = {list->at, begin};
    if (!append_verbatim(out, list, comments) ||
        (comments.begin < comments.end && !text_append(out, " ")) ||
        !append_address(list, false) ||
        !append_comments(out, list, (struct range){begin, tail_end}))
        return ADDRESS_LIST_STOPPED;
    return add_piece(list, PIECE_ADDRESS, start);
}

/* The words before '<' or ':', which end before token end. */
static struct range
find_phrase(const struct list *list, size_t end)
{
    struct range phrase = {end, end};
    while (phrase.begin > 0 && !strchr("<>,;:", type_at(list, phrase.begin - 1)))
        phrase.begin--;
    if (phrase.begin > 0 && type_at(list, phrase.begin - 1) == '>')
        while (phrase.begin < end && is_comment(list, phrase.begin))
            phrase.begin++; /* "<a@b> (his comment) Joe <c@d>" */
    return phrase;
}

/* phrase <address>, RFC 5322 3.4 name-addr; list->at is behind the '>' */
static enum address_list_status
take_angle(struct list *list, size_t tail_end)
{
    struct range inside = {list->at - 1, list->at - 1};
    while (inside.begin > 0 && !strchr("<>;", type_at(list, inside.begin - 1)))
        inside.begin--;
    if (inside.begin == 0 || type_at(list, inside.begin - 1) != '<')
        return ADDRESS_LIST_SYNTAX;
    enum address_list_status status = read_address(list, inside);
    if (status != ADDRESS_LIST_OK)
        return status;
    struct range phrase = find_phrase(list, inside.begin - 1);
    list->at = phrase.begin;
    stralloc *out = &list->pieces_text;
    size_t start = out->len;
    if (!append_verbatim(out, list, phrase) ||
        (phrase.begin < phrase.end && !text_append(out, " ")) ||
        !append_address(list, true) ||
        !append_comments(out, list, (struct range){inside.begin, tail_end}))
        return ADDRESS_LIST_STOPPED;
    return add_piece(list, PIECE_ADDRESS, start);
}

static enum address_list_status
take_group_end(struct list *list, size_t tail_end)
{
    size_t start = list->pieces_text.len;
    if (list->in_group)
        return ADDRESS_LIST_SYNTAX;
    list->in_group = true;
    if (!text_append(&list->pieces_text, ";") ||
        !append_comments(&list->pieces_text, list, (struct range){list->at, tail_end}))
        return ADDRESS_LIST_STOPPED;
    list->at--;
    return add_piece(list, PIECE_GROUP_END, start);
}

/* phrase ":", RFC 5322 3.4 group; list->at is behind the ':' */
static enum address_list_status
take_group_start(struct list *list, size_t tail_end)
{
    size_t start = list->pieces_text.len;
    if (!list->in_group)
        return ADDRESS_LIST_SYNTAX;
    list->in_group = false;
    struct range phrase = find_phrase(list, list->at - 1);
    if (!append_verbatim(&list->pieces_text, list, phrase) ||
        !text_append(&list->pieces_text, ":") ||
        !append_comments(&list->pieces_text, list, (struct range){list->at, tail_end}))
        return ADDRESS_LIST_STOPPED;
    list->at = phrase.begin;
    return add_piece(list, PIECE_GROUP_START, start);
}

static enum address_list_status
take_comments(struct list *list, size_t tail_end)
{
    size_t start = list->pieces_text.len;
    if (list->at == tail_end)
        return ADDRESS_LIST_OK; /* an empty element */
    return append_verbatim(&list->pieces_text, list, (struct range){list->at, tail_end})
               ? add_piece(list, PIECE_COMMENT, start)
               : ADDRESS_LIST_STOPPED;
}

/* Take the last element that is not done yet. */
static enum address_list_status
take_last(struct list *list)
{
    size_t tail_end = list->at;
    while (list->at > 0 && is_comment(list, list->at - 1))
        list->at--;
    char type = list->at ? type_at(list, list->at - 1) : ',';
    enum address_list_status status;
    switch (type) {
    case ',':
        status = take_comments(list, tail_end);
        list->at -= list->at > 0;
        return status;
    case '>':
        return take_angle(list, tail_end);
    case ';':
        return take_group_end(list, tail_end);
    case ':':
        return take_group_start(list, tail_end);
    case '<':
        return ADDRESS_LIST_SYNTAX;
    default:
        return take_bare(list, tail_end);
    }
}

/* Put the pieces in order, with commas, on lines of at most COLUMNS where possible. */
static bool
append_folded(stralloc *out, const struct list *list)
{
    const struct piece *pieces = genalloc_s(struct piece, &list->pieces);
    size_t count = genalloc_len(struct piece, &list->pieces);
    const char *newline = out->len ? memrchr(out->s, '\n', out->len) : NULL;
    size_t column = newline ? out->len - (size_t)(newline + 1 - out->s) : out->len;
    bool wants_comma = false;

    for (size_t i = count; i > 0; i--) {
        const struct piece *piece = pieces + i - 1;
        size_t len = piece->end - piece->begin;
        bool is_element =
            piece->kind == PIECE_ADDRESS || piece->kind == PIECE_GROUP_START;
        bool is_tight = piece->kind == PIECE_GROUP_END && wants_comma;
        bool folds = !is_tight && i < count && column + len + 2 > COLUMNS;
        if (is_element && wants_comma && !text_append(out, ","))
            return false;
        if (!is_tight && out->len && !text_append(out, folds ? "\n  " : " "))
            return false;
        if (!text_append_bytes(out, list->pieces_text.s + piece->begin, len))
            return false;
        column = folds ? len + 2 : column + len + 2;
        if (piece->kind != PIECE_COMMENT)
            wants_comma = piece->kind != PIECE_GROUP_START;
    }
    return true;
}

enum address_list_status
address_list_rewrite(stralloc *out, const char *text, size_t len,
                     const struct address_visitor *visitor)
{
    struct list list = {.text = text, .visitor = visitor};
    genalloc tokens = GENALLOC_ZERO;
    enum address_list_status status = ADDRESS_LIST_OK;

    if (!address_tokens_read(&tokens, text, len)) {
        status = errno == EPROTO ? ADDRESS_LIST_SYNTAX : ADDRESS_LIST_STOPPED;
    } else {
        list.tokens = genalloc_s(struct address_token, &tokens);
        list.at = genalloc_len(struct address_token, &tokens);
        while (list.at > 0 && status == ADDRESS_LIST_OK)
            status = take_last(&list);
        if (status == ADDRESS_LIST_OK && list.in_group)
            status = ADDRESS_LIST_SYNTAX; /* a ';' without group */
        if (status == ADDRESS_LIST_OK && !append_folded(out, &list))
            status = ADDRESS_LIST_STOPPED;
    }
    genalloc_free(struct address_token, &tokens);
    genalloc_free(struct piece, &list.pieces);
    stralloc_free(&list.pieces_text);
    mailbox_free(&list.mailbox);
    return status;
}
