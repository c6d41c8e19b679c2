#ifndef ADDRESS_TOKENS_H
#define ADDRESS_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <skalibs/genalloc.h>
#include <skalibs/stralloc.h>

/* Words and signs of an address list, RFC 5322 3.2. Blanks, tabs, line ends separate. */

enum address_token_type {
    ADDRESS_TOKEN_ATOM = 'a',
    ADDRESS_TOKEN_QUOTED = '"',
    ADDRESS_TOKEN_LITERAL = '[',
    ADDRESS_TOKEN_COMMENT = '(',
    /* and the signs < > @ , ; : . as themselves */
};

struct address_token {
    char type;
    uint32_t begin; /* offsets into the text: from the first byte to behind the last, */
    uint32_t end;   /* quotes, brackets and parentheses included */
};

/* Cut text into tokens. A ')' or ']' that nothing opened is part of an atom, as in qmail.
 * tokens   genalloc of struct address_token, replaced, owned by the caller
 * returns  true, or false with errno: EPROTO a comment, quoted string or literal has no
 *          end, or the text is longer than 4 GiB; else no memory */
bool address_tokens_read(genalloc *tokens, const char *text, size_t len);

/* Append what an atom, quoted string or literal means: without quotes and backslashes,
 * and without line ends (RFC 5322 3.2.4: they are invisible). A literal keeps its
 * brackets and loses its blanks. returns false: no memory */
bool address_token_append(stralloc *out, const char *text,
                          const struct address_token *token);

/* Append the bytes from begin to before end as they are, but on one line: without
 * line ends and the backslashes before them; a CR alone becomes a blank.
 * returns false: no memory */
bool address_tokens_append_source(stralloc *out, const char *text, size_t begin,
                                  size_t end);

bool address_token_is_word(const struct address_token *token);

#endif
