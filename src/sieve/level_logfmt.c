/*
 * The level in logfmt. Only "=" and quotes are looked for, and a key is read when its last letter is
 * that of one for a level.
 */
#include "base/mem.h"
#include "sieve/level.h"

static bool is_key(struct str key)
{
    static const struct str keys[] = {
        {"level", 5}, {"lvl", 3}, {"severity", 8}, {"loglevel", 8}, {"log_level", 9}};

    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (key.len == keys[i].len && str_ieq(key, keys[i]))
            return true;
    return false;
}

/* The key that ends before <s>.p[<at>], a "=". */
static struct str key_before(struct str s, size_t at)
{
    size_t from = at;

    while (from && at - from <= LEVEL_WORD_MAX && s.p[from - 1] != ' ')
        from--;
    return str_make(s.p + from, at - from);
}

/* Where the quoted text ends that begins at <s>.p[<at>]. */
static size_t quote_end(struct str s, size_t at)
{
    for (size_t i = at + 1;; i++) {
        const char *quote = i < s.len ? memchr(s.p + i, '"', s.len - i) : NULL;
        size_t slashes = 0;

        if (!quote)
            return s.len;
        i = (size_t)(quote - s.p);
        while (i - slashes > at + 1 && s.p[i - slashes - 1] == '\\')
            slashes++;
        if (slashes % 2 == 0)
            return i;
    }
}

int level_in_logfmt(struct str s, unsigned pairs)
{
    size_t at = 0;

    for (s = str_head(s, LEVEL_LOGFMT_MAX); pairs; pairs--) {
        const char *eq = at < s.len ? memchr(s.p + at, '=', s.len - at) : NULL;
        size_t end, key;
        char last;

        if (!eq)
            return LEVEL_NONE;
        key = (size_t)(eq - s.p);
        last = key ? (char)(s.p[key - 1] | 0x20) : 0;
        at = key + 1;
        if (at < s.len && s.p[at] == '"') {
            end = quote_end(s, at);
            at++;
        } else if (last == 'l' || last == 'y') {
            for (end = at; end < s.len && s.p[end] != ' ';)
                end++;
        } else {
            continue;
        }
        if ((last == 'l' || last == 'y') && is_key(key_before(s, key))) {
            int level = level_of_word(str_make(s.p + at, end - at));

            if (level != LEVEL_NONE)
                return level;
        }
        at = end;
    }
    return LEVEL_NONE;
}
