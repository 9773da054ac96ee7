/*
 * The level in the header of a line of text. Words are looked at one after another, with what stands
 * around them, up to LEVEL_TEXT_MAX bytes or WORDS_MAX words:
 *
 *   2024-01-02 15:04:05,123 [main] WARN  c.e.Foo - text      in capitals
 *   2024/01/02 15:04:05 [error] 7#7: *1 text                 in brackets, also <Error>, |Warn|
 *   2024-01-02T15:04:05Z<TAB>warn<TAB>text                   between tabs
 *   error: text                                              the first word, with a colon
 *   ts=… level=warn msg=…                                    logfmt, from there on
 *
 * Digits begin no word, so times and numbers do not count. ESC sequences (colours) are spaces.
 */
#include "base/mem.h"
#include "sieve/level.h"

#define WORDS_MAX 6    /* looked at, when the line has a header ... */
#define PROSE_MAX 4    /* ... or begins with a word */
#define PAIRS_MAX 10   /* of logfmt, in a line of it ... */
#define PAIRS_BEHIND 2 /* ... and behind other words */
#define SHORT_WORD 3   /* "ERR" may be anything: it needs more than capitals */
#define ESC '\x1b'

enum kind { KIND_OTHER = 0, KIND_LOWER, KIND_UPPER, KIND_INNER };

#define L KIND_LOWER
#define U KIND_UPPER
#define I KIND_INNER
static const unsigned char kinds[256] = {
    ['-'] = I, ['_'] = I, ['0'] = I, ['1'] = I, ['2'] = I, ['3'] = I, ['4'] = I, ['5'] = I,
    ['6'] = I, ['7'] = I, ['8'] = I, ['9'] = I, ['a'] = L, ['b'] = L, ['c'] = L, ['d'] = L,
    ['e'] = L, ['f'] = L, ['g'] = L, ['h'] = L, ['i'] = L, ['j'] = L, ['k'] = L, ['l'] = L,
    ['m'] = L, ['n'] = L, ['o'] = L, ['p'] = L, ['q'] = L, ['r'] = L, ['s'] = L, ['t'] = L,
    ['u'] = L, ['v'] = L, ['w'] = L, ['x'] = L, ['y'] = L, ['z'] = L, ['A'] = U, ['B'] = U,
    ['C'] = U, ['D'] = U, ['E'] = U, ['F'] = U, ['G'] = U, ['H'] = U, ['I'] = U, ['J'] = U,
    ['K'] = U, ['L'] = U, ['M'] = U, ['N'] = U, ['O'] = U, ['P'] = U, ['Q'] = U, ['R'] = U,
    ['S'] = U, ['T'] = U, ['U'] = U, ['V'] = U, ['W'] = U, ['X'] = U, ['Y'] = U, ['Z'] = U,
};
#undef L
#undef U
#undef I

static enum kind kind_of(char c)
{
    return (enum kind)kinds[(unsigned char)c];
}

struct word {
    struct str text;
    char before, after; /* the nearest byte that is no space; ' ' at the ends of the line */
    char beside;        /* the byte just behind it */
    bool capitals;      /* and nothing else */
    bool first;         /* of the line */
};

static bool is_bracketed(const struct word *w)
{
    switch (w->after) {
    case ']':
        return w->before == '[' || w->before == ':';
    case ')':
        return w->before == '(';
    case '>':
        return w->before == '<';
    case '|':
        return w->before == '|';
    case '\t':
        return w->before == '\t';
    default:
        return false;
    }
}

/* The level of <w>, which is called like one; LEVEL_NONE when it is only a word. */
static int judge(const struct word *w, struct str last, int level, bool weak)
{
    if (is_bracketed(w))
        return level;
    if (weak)
        return w->capitals && w->beside == ':' ? level : LEVEL_NONE;
    if ((w->first && w->beside == ':') || str_eq(last, STR("PHP")) || str_eq(last, STR("npm")))
        return level;
    if (w->first && w->beside == ' ' && w->after == 'e' && str_ieq(w->text, STR("fatal")))
        return level; /* "fatal error: " of Go */
    if (!w->capitals)
        return LEVEL_NONE;
    if (w->text.len == SHORT_WORD)
        return w->first || w->after == ']' ? level : LEVEL_NONE;
    return level;
}

/* Length of the ESC sequence at the start of <s>. */
static size_t escape(struct str s)
{
    size_t n = 1;

    if (s.len < 2 || s.p[1] != '[')
        return 1;
    for (n = 2; n < s.len; n++)
        if (kind_of(s.p[n]) == KIND_LOWER || kind_of(s.p[n]) == KIND_UPPER)
            return n + 1;
    return n;
}

/* The nearest byte behind <i> that is no space. */
static char byte_behind(struct str s, size_t i)
{
    while (i < s.len && (s.p[i] == ' ' || s.p[i] == ESC))
        i += s.p[i] == ESC ? escape(str_skip(s, i)) : 1;
    return i < s.len ? s.p[i] : ' ';
}

/* The level that the word <text> of <s> is. */
static int level_at(struct str s, struct str text, char before, bool first, struct str last)
{
    size_t end = (size_t)(text.p + text.len - s.p);
    struct word w = {.text = text, .before = before, .first = first, .capitals = true};
    bool weak;
    int level = level_of_word_strict(text, &weak);

    w.beside = end < s.len ? s.p[end] : ' ';
    if (level == LEVEL_NONE)
        return w.beside == ':' && str_eq(text, STR("LOG")) ? 6 : LEVEL_NONE; /* of Postgres */
    w.after = byte_behind(s, end);
    for (size_t i = 0; i < text.len && w.capitals; i++)
        w.capitals = kind_of(text.p[i]) == KIND_UPPER;
    return judge(&w, last, level, weak);
}

/* Length of "2024-01-02 15:04:05" or the like at the start of <s>, and a bracket before it: only a
 * shorter way through it. */
static size_t time_len(struct str s)
{
    size_t at = s.len && s.p[0] == '[', n = at + sizeof("2024-01-02 15:04:05") - 1;

    return s.len > n && s.p[at + 4] == s.p[at + 7] && s.p[at + 13] == ':' && s.p[at + 16] == ':' &&
                   kind_of(s.p[at + 3]) == KIND_INNER && kind_of(s.p[n - 1]) == KIND_INNER
               ? n
               : 0;
}

int level_in_text(struct str line)
{
    struct str last = {NULL, 0}, s = str_head(line, LEVEL_TEXT_MAX);
    size_t skip = time_len(s);
    const char *p = s.p + skip, *end = s.p + s.len;
    unsigned words = 0, most = skip ? WORDS_MAX : PROSE_MAX;
    char before = skip ? '0' : ' ';

    while (skip && p < end && kind_of(*p) != KIND_OTHER) /* "Z" */
        p++;
    while (p < end) {
        const char *start = p;
        enum kind kind = kind_of(*p);
        int level;

        if (kind == KIND_OTHER) {
            if (*p == ESC) {
                p += escape(str_make(p, (size_t)(end - p)));
                continue;
            }
            before = *p == ' ' ? before : *p;
            p++;
            continue;
        }
        while (++p < end && kind_of(*p) != KIND_OTHER)
            continue;
        if (kind == KIND_INNER) {
            most = WORDS_MAX;
            before = p[-1];
            continue;
        }
        if (p < end && *p == '=')
            return level_in_logfmt(str_make(start, (size_t)(line.p + line.len - start)),
                                   words ? PAIRS_BEHIND : PAIRS_MAX);
        level = level_at(s, str_make(start, (size_t)(p - start)), before, words == 0, last);
        if (level != LEVEL_NONE)
            return level;
        most = words == 0 && before == '[' ? WORDS_MAX : most;
        last = str_make(start, (size_t)(p - start));
        before = p[-1];
        if (++words == most)
            return LEVEL_NONE;
    }
    return LEVEL_NONE;
}
