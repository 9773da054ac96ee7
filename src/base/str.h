/*
 * struct str: a borrowed view of bytes, passed by value. It owns nothing and need not end in NUL.
 * Log payload may contain any byte. The order of arguments is always <ptr, len>.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p;
    size_t len;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
/* For printf: printf("%.*s", STR_ARG(s)) */
#define STR_ARG(s) (int)(s).len, (s).p

static inline struct str str_make(const char *p, size_t len)
{
    return (struct str){p, len};
}

/* View of a C string; NULL gives the empty view. */
static inline struct str str_of(const char *z)
{
    return (struct str){z ? z : "", z ? strlen(z) : 0};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static inline bool str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_eq(str_make(s.p, prefix.len), prefix);
}

static inline bool str_ends(struct str s, struct str suffix)
{
    return suffix.len == 0 ||
           (s.len >= suffix.len && memcmp(s.p + s.len - suffix.len, suffix.p, suffix.len) == 0);
}

/* What follows the first <n> bytes; empty when there are fewer. */
static inline struct str str_skip(struct str s, size_t n)
{
    if (s.len == 0) /* p may be NULL */
        return s;
    return n >= s.len ? str_make(s.p + s.len, 0) : str_make(s.p + n, s.len - n);
}

/* The first <n> bytes, or all. */
static inline struct str str_head(struct str s, size_t n)
{
    return str_make(s.p, n < s.len ? n : s.len);
}

/* ASCII case-insensitive equality. */
bool str_ieq(struct str a, struct str b);
/* Index of the first / last <c>, or -1. */
ptrdiff_t str_find(struct str s, char c);
ptrdiff_t str_rfind(struct str s, char c);
/* Without leading and trailing ASCII white space. */
struct str str_trim(struct str s);
/* Cuts the part before the first <sep> off <*rest> and returns it; at the end returns what is left.
 * False when nothing is left. "a,,b" gives "a", "", "b". */
bool str_cut(struct str *rest, char sep, struct str *part);
/* The same for the next word of a list. Words are separated by commas and white space; there are no
 * empty ones. */
bool str_word(struct str *rest, struct str *word);
/* Decimal digits only, no sign, no space. False on anything else and on overflow of <max>. */
bool str_to_u64(struct str s, uint64_t max, uint64_t *out);
/* "1", "64k", "10m", "1g" (binary multiples, any case, an optional trailing "i"/"ib"/"b" as in Mi,
 * MiB). */
bool str_to_size(struct str s, uint64_t max, uint64_t *out);
/* "250ms", "10s", "5m", "1h", or bare digits meaning seconds; result in milliseconds. */
bool str_to_ms(struct str s, uint64_t max, uint64_t *out);
/* True when <text> matches <pattern>, in which '*' stands for any run of bytes. Case-sensitive,
 * linear memory. */
bool str_glob(struct str pattern, struct str text);
/* Whether at most <edits> times one letter more, less, other, or two exchanged, make <b> of <a>;
 * capitals do not count. True of equal ones, too. <edits> is 1 or 2: time grows with 4^<edits>. */
bool str_is_near(struct str a, struct str b, unsigned edits);
/* Heap copy that ends in NUL (aborts when out of memory). */
char *str_dup(struct str s);

#endif
