/*
 * The one splitter of drain lists. A ',' may be part of a URL, so it separates only where another
 * URL clearly begins. Quotes, a comma at the end and a YAML or JSON list's marks are taken off.
 */
#include <string.h>

#include "base/limits.h"
#include "datasources/datasource.h"

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_scheme_char(char c)
{
    return is_alpha(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
}

static bool is_quote(char c)
{
    return c == '"' || c == '\'';
}

/* True when <s> begins with optional space, an optional quote and `scheme://`. */
static bool url_begins(struct str s)
{
    size_t i;

    while (s.len && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = str_skip(s, 1);
    if (s.len && is_quote(s.p[0]))
        s = str_skip(s, 1);
    if (!s.len || !is_alpha(s.p[0]))
        return false;
    for (i = 1; i < s.len && is_scheme_char(s.p[i]); i++)
        ;
    return str_starts(str_skip(s, i), STR("://"));
}

static bool separates(struct str s, size_t i)
{
    char c = s.p[i];

    return c == ';' || c == '\n' || (c == ',' && url_begins(str_skip(s, i + 1)));
}

/* What YAML or JSON left around a URL: "- " in front, quotes, a comma behind, and brackets where
 * they stand outside of quotes. */
static struct str undressed(struct str s)
{
    s = str_trim(s);
    if (str_starts(s, STR("- ")))
        s = str_trim(str_skip(s, 2));
    while (s.len && s.p[s.len - 1] == ',')
        s = str_trim(str_head(s, s.len - 1));
    if (s.len > 1 && s.p[0] == '[' && is_quote(s.p[1]))
        s = str_skip(s, 1);
    if (s.len > 1 && s.p[s.len - 1] == ']' && is_quote(s.p[s.len - 2]))
        s = str_head(s, s.len - 1);
    if (s.len > 1 && is_quote(s.p[0]) && s.p[s.len - 1] == s.p[0])
        s = str_trim(str_skip(str_head(s, s.len - 1), 1));
    return s;
}

bool drain_list_next(struct str *rest, struct str *url)
{
    while (rest->len) {
        size_t n = 0;

        while (n < rest->len && !separates(*rest, n))
            n++;
        *url = undressed(str_head(*rest, n));
        *rest = str_skip(*rest, n + 1);
        if (url->len)
            return true;
    }
    return false;
}

bool drain_list_has(struct str list, struct str url)
{
    struct str one;

    while (drain_list_next(&list, &one))
        if (str_eq(one, url))
            return true;
    return false;
}

int drain_list_cut(struct str list, struct buf *out)
{
    struct str url;

    for (unsigned n = 0; n <= OWNER_DRAINS_MAX && drain_list_next(&list, &url); n++)
        if ((n && buf_add_ch(out, '\n') < 0) ||
            buf_add_str(out, str_head(url, OWNER_URL_MAX + 1)) < 0)
            return -1;
    return 0;
}
