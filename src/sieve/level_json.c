/*
 * The level in a JSON object, in which one line is one object: the first of its own members that is
 * called like a level and has a value that is one. A member of an object inside counts only in
 * "log" (ECS). It is not a parser: what is no JSON has no level, or perhaps one that a reader would
 * not find either.
 */
#include "base/mem.h"
#include "sieve/level.h"

#define NUMBER_MAX 1000

enum scale {
    SCALE_COMMON = 1, /* syslog's 0 to 7; tens as pino and bunyan; hundreds as Monolog */
    SCALE_PYTHON,     /* logging.WARNING = 30 */
    SCALE_OTEL,       /* 1 to 24 */
};

struct number {
    uint64_t from;
    int severity;
};
static const struct number pino[] = {{60, 2}, {50, 3}, {40, 4}, {30, 6}, {10, 7}, {0, 0}};
static const struct number monolog[] = {{600, 0}, {550, 1}, {500, 2}, {400, 3}, {300, 4},
                                        {250, 5}, {200, 6}, {100, 7}, {0, 0}};
static const struct number python[] = {{50, 2}, {40, 3}, {30, 4}, {20, 6}, {1, 7}, {0, 0}};
static const struct number otel[] = {{25, LEVEL_NONE}, {21, 2}, {17, 3}, {13, 4},
                                     {9, 6},           {1, 7},  {0, 0}};

#define KEY(name, scale)                                                                           \
    {                                                                                              \
        {name, sizeof(name) - 1}, scale                                                            \
    }
struct key {
    struct str name;
    enum scale scale; /* 0 = the table's end */
};
static const struct key keys_l[] = {
    KEY("level", SCALE_COMMON),      KEY("lvl", SCALE_COMMON),       KEY("loglevel", SCALE_COMMON),
    KEY("log_level", SCALE_COMMON),  KEY("log.level", SCALE_COMMON), KEY("levelname", SCALE_COMMON),
    KEY("level_name", SCALE_COMMON), KEY("levelno", SCALE_PYTHON),   KEY("", 0)};
static const struct key keys_s[] = {
    KEY("severity", SCALE_COMMON),      KEY("severitytext", SCALE_COMMON),
    KEY("severity_text", SCALE_COMMON), KEY("severitynumber", SCALE_OTEL),
    KEY("severity_number", SCALE_OTEL), KEY("", 0)};
static const struct key keys_p[] = {KEY("priority", SCALE_COMMON), KEY("", 0)};
static const struct key keys_at[] = {KEY("@l", SCALE_COMMON), KEY("", 0)};

static enum scale scale_of(struct str key)
{
    const struct key *k;

    if (key.len < 2 || key.len > LEVEL_WORD_MAX)
        return 0;
    switch (key.p[0]) {
    case 'l':
    case 'L':
        k = keys_l;
        break;
    case 's':
    case 'S':
        k = keys_s;
        break;
    case 'p':
    case 'P':
        k = keys_p;
        break;
    case '@':
        k = keys_at;
        break;
    default:
        return 0;
    }
    while (k->scale && (k->name.len != key.len || !str_ieq(key, k->name)))
        k++;
    return k->scale;
}

static int of_number(uint64_t n, enum scale scale)
{
    const struct number *row = scale == SCALE_PYTHON ? python
                               : scale == SCALE_OTEL ? otel
                               : n >= 100            ? monolog
                                                     : pino;

    if (scale == SCALE_COMMON && n <= 7)
        return (int)n;
    for (; row->from; row++)
        if (n >= row->from)
            return row->severity;
    return LEVEL_NONE;
}

static int of_text(struct str text, enum scale scale)
{
    uint64_t n;

    return str_to_u64(text, NUMBER_MAX, &n) ? of_number(n, scale) : level_of_word(text);
}

/* ---- the object ---- */

/* What was not read yet. */
struct scan {
    const char *p, *end;
};

/* The next byte that is no space, which is not taken; 0 = there is none. */
static inline char look(struct scan *s)
{
    const char *p = s->p;

    while (p < s->end && (*p == ' ' || *p == '\t'))
        p++;
    s->p = p;
    return p < s->end ? *p : '\0';
}

static bool is_escaped(const char *quote, const char *begin)
{
    size_t slashes = 0;

    while (quote - slashes > begin && quote[-1 - (ptrdiff_t)slashes] == '\\')
        slashes++;
    return slashes % 2;
}

/* Takes a string, whose quote comes next. False: it has no end. */
static bool take_string(struct scan *s, struct str *text)
{
    const char *begin = s->p + 1, *quote = begin;

    for (;; quote++) {
        quote = quote < s->end ? memchr(quote, '"', (size_t)(s->end - quote)) : NULL;
        if (!quote)
            return false;
        if (quote[-1] != '\\' || !is_escaped(quote, begin))
            break;
    }
    *text = str_make(begin, (size_t)(quote - begin));
    s->p = quote + 1;
    return true;
}

/* Takes an object or a list. */
static bool skip_nested(struct scan *s)
{
    struct str text;
    size_t depth = 0;

    while (s->p < s->end) {
        char c = *s->p;

        if (c == '"') {
            if (!take_string(s, &text))
                return false;
            continue;
        }
        s->p++;
        if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && --depth == 0)
            return true;
    }
    return false;
}

/* Takes a number, true, false or null. */
static inline struct str take_plain(struct scan *s)
{
    const char *p = s->p, *end = s->end;
    struct str text = {p, 0};

    while (p < end && *p != ',' && *p != '}' && *p != ' ')
        p++;
    text.len = (size_t)(p - s->p);
    s->p = p;
    return text;
}

/* MongoDB: {"t":{…},"s":"I", …}. */
static int of_mongo(struct str text)
{
    switch (text.len && text.len <= 2 ? text.p[0] : 0) {
    case 'F':
        return 2;
    case 'E':
        return 3;
    case 'W':
        return 4;
    case 'I':
        return 6;
    case 'D':
        return 7;
    default:
        return LEVEL_NONE;
    }
}

/* One member's value, which begins with <c>. False: the line is no JSON, or cut. */
static bool take_value(struct scan *s, char c, struct str key, bool after_t, int *level)
{
    enum scale scale;
    struct str text;
    uint64_t n;

    if (c == '{' || c == '[')
        return skip_nested(s);
    scale = scale_of(key);
    if (c == '"') {
        if (!take_string(s, &text))
            return false;
        if (scale)
            *level = of_text(text, scale);
        else if (after_t && str_eq(key, STR("s")))
            *level = of_mongo(text);
        return true;
    }
    text = take_plain(s);
    if (scale && str_to_u64(text, NUMBER_MAX, &n))
        *level = of_number(n, scale);
    return text.len > 0;
}

/* The members of the object that <s> begins with. <in_log>: of a "log" in another. */
static int in_object(struct scan *s, bool in_log)
{
    struct str key;
    int level = LEVEL_NONE;
    bool after_t = false;
    char c;

    do {
        s->p++; /* "{" or "," */
        if (look(s) != '"' || !take_string(s, &key) || look(s) != ':')
            break;
        s->p++;
        c = look(s);
        if (c == '{' && !in_log && str_eq(key, STR("log"))) {
            struct scan log = *s;

            level = in_object(&log, true);
        }
        if (level != LEVEL_NONE || !take_value(s, c, key, after_t, &level))
            break;
        after_t |= key.len == 1 && *key.p == 't';
    } while (level == LEVEL_NONE && look(s) == ',');
    return level;
}

int level_in_json(struct str line)
{
    struct scan s = {line.p, line.p + (line.len < LEVEL_JSON_MAX ? line.len : LEVEL_JSON_MAX)};

    return in_object(&s, false);
}
