#include "text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <skalibs/types.h>

bool
text_append_bytes(stralloc *out, const char *bytes, size_t len)
{
    if (!stralloc_readyplus(out, len + 1))
        return false;
    if (len)
        memmove(out->s + out->len, bytes, len);
    out->len += len;
    out->s[out->len] = '\0';
    return true;
}

bool
text_append(stralloc *out, const char *text)
{
    return text_append_bytes(out, text, strlen(text));
}

bool
text_copy_bytes(stralloc *out, const char *bytes, size_t len)
{
    out->len = 0;
    return text_append_bytes(out, bytes, len);
}

bool
text_copy(stralloc *out, const char *text)
{
    return text_copy_bytes(out, text, strlen(text));
}

bool
text_append_number(stralloc *out, uint64_t number)
{
    char digits[UINT64_FMT];
    return text_append_bytes(out, digits, uint64_fmt(digits, number));
}

bool
text_append_string(stralloc *out, const char *text)
{
    return text_append_bytes(out, text, strlen(text) + 1);
}

bool
text_append_number_string(stralloc *out, uint64_t number)
{
    return text_append_number(out, number) && text_append_bytes(out, "", 1);
}

bool
text_append_safe(stralloc *out, const char *bytes, size_t len, bool no_blanks)
{
    if (!text_append_bytes(out, bytes, len))
        return false;
    char *added = out->s + out->len - len;
    for (size_t i = 0; i < len; i++)
        if (added[i] < (no_blanks ? 33 : 32) || added[i] > 126)
            added[i] = '_';
    return true;
}

bool
text_scan_digits(const char *text, size_t width, unsigned int base, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < width; i++) {
        unsigned int digit;
        if (text[i] >= '0' && text[i] <= '9')
            digit = (unsigned int)(text[i] - '0');
        else if (base == 16 && text[i] >= 'a' && text[i] <= 'f')
            digit = (unsigned int)(text[i] - 'a') + 10;
        else
            return false;
        if (*number > (UINT64_MAX - digit) / base)
            return false;
        *number = *number * base + digit;
    }
    return true;
}

void
text_lower(char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] >= 'A' && bytes[i] <= 'Z')
            bytes[i] = (char)(bytes[i] - 'A' + 'a');
}

bool
text_equal_nocase(const char *a, const char *b)
{
    return strcasecmp(a, b) == 0;
}

bool
text_append_date(stralloc *out, int64_t unix_time)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char text[64];
    struct tm parts;
    time_t seconds = (time_t)unix_time;

    if (!gmtime_r(&seconds, &parts))
        return false;
    snprintf(text, sizeof text, "%d %.3s %d %02d:%02d:%02d -0000", parts.tm_mday,
             months + 3 * (parts.tm_mon % 12), parts.tm_year + 1900, parts.tm_hour,
             parts.tm_min, parts.tm_sec);
    return text_append(out, text);
}
