/*
 * A JSON reader that keeps only two ids. It is strict where a mistake could name the wrong row, and
 * lenient in what it skips (numbers are any run of their characters). A payload that it refuses
 * costs only a full read of the table. Recursion is bounded by DEPTH_MAX.
 */
#include "datasources/postgres_payload.h"

#define DEPTH_MAX 16

struct scan {
    struct str rest;
    unsigned depth;
};

struct found {
    struct pg_id row, before, after;
    bool has_row, has_before, has_after;
};

static const char dashes[] = {8, 13, 18, 23};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool pg_id_parse(struct str text, struct pg_id *out)
{
    struct pg_id id;
    unsigned n = 0;

    if (text.len != PG_ID_TEXT_SIZE - 1)
        return false;
    for (size_t i = 0; i < text.len;) {
        int hi, lo;

        if (memchr(dashes, (int)i, sizeof(dashes))) {
            if (text.p[i++] != '-')
                return false;
            continue;
        }
        hi = hex_digit(text.p[i]);
        lo = hex_digit(text.p[i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        id.bytes[n++] = (unsigned char)(hi * 16 + lo);
        i += 2;
    }
    *out = id;
    return true;
}

void pg_id_format(const struct pg_id *id, char out[PG_ID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    size_t at = 0;

    for (unsigned i = 0; i < sizeof(id->bytes); i++) {
        if (memchr(dashes, (int)at, sizeof(dashes)))
            out[at++] = '-';
        out[at++] = digits[id->bytes[i] >> 4];
        out[at++] = digits[id->bytes[i] & 15];
    }
    out[at] = '\0';
}

/* ---- JSON ---- */

static void skip_space(struct scan *s)
{
    while (s->rest.len && (s->rest.p[0] == ' ' || s->rest.p[0] == '\t' || s->rest.p[0] == '\n' ||
                           s->rest.p[0] == '\r'))
        s->rest = str_skip(s->rest, 1);
}

/* Takes <c>, after space. */
static bool take(struct scan *s, char c)
{
    skip_space(s);
    if (!s->rest.len || s->rest.p[0] != c)
        return false;
    s->rest = str_skip(s->rest, 1);
    return true;
}

/* A string. <raw> is the text between the quotes, with escapes; a text with escapes is no id. */
static bool take_string(struct scan *s, struct str *raw)
{
    size_t n = 0;

    if (!take(s, '"'))
        return false;
    while (n < s->rest.len && s->rest.p[n] != '"')
        n += s->rest.p[n] == '\\' ? 2 : 1;
    if (n >= s->rest.len)
        return false;
    *raw = str_head(s->rest, n);
    s->rest = str_skip(s->rest, n + 1);
    return true;
}

static bool skip_value(struct scan *s);

/* After the opening bracket: members up to <end>, each parsed by <one>. */
static bool take_members(struct scan *s, char end, bool (*one)(struct scan *s, void *arg),
                         void *arg)
{
    bool good = ++s->depth <= DEPTH_MAX;

    if (good && !take(s, end)) {
        do
            good = one(s, arg);
        while (good && take(s, ','));
        good = good && take(s, end);
    }
    s->depth--;
    return good;
}

static bool skip_element(struct scan *s, void *arg)
{
    (void)arg;
    return skip_value(s);
}

static bool skip_member(struct scan *s, void *arg)
{
    struct str key;

    (void)arg;
    return take_string(s, &key) && take(s, ':') && skip_value(s);
}

/* A number, true, false or null. */
static bool skip_word(struct scan *s)
{
    size_t n = 0;

    while (n < s->rest.len && s->rest.p[n] != '\0' &&
           strchr("+-.0123456789abcdefghijklmnopqrstuvwxyzE", s->rest.p[n]))
        n++;
    s->rest = str_skip(s->rest, n);
    return n > 0;
}

static bool skip_value(struct scan *s)
{
    struct str text;

    skip_space(s);
    if (!s->rest.len)
        return false;
    switch (s->rest.p[0]) {
    case '"':
        return take_string(s, &text);
    case '{':
        return take(s, '{') && take_members(s, '}', skip_member, NULL);
    case '[':
        return take(s, '[') && take_members(s, ']', skip_element, NULL);
    default:
        return skip_word(s);
    }
}

/* ---- rows ---- */

static bool take_id(struct scan *s, struct pg_id *id, bool *has)
{
    struct str text;

    if (!take_string(s, &text))
        return false;
    *has = pg_id_parse(text, id);
    return *has;
}

struct row {
    struct pg_id *id;
    bool *has;
};

static bool row_member(struct scan *s, void *arg)
{
    struct row *row = arg;
    struct str key;

    if (!take_string(s, &key) || !take(s, ':'))
        return false;
    return str_eq(key, STR("drain")) ? take_id(s, row->id, row->has) : skip_value(s);
}

static bool take_row(struct scan *s, struct pg_id *id, bool *has)
{
    struct row row = {id, has};

    return take(s, '{') && take_members(s, '}', row_member, &row);
}

static bool top_member(struct scan *s, void *arg)
{
    struct found *f = arg;
    struct str key;

    if (!take_string(s, &key) || !take(s, ':'))
        return false;
    if (str_eq(key, STR("drain")))
        return take_id(s, &f->row, &f->has_row);
    if (str_eq(key, STR("old")))
        return take_row(s, &f->before, &f->has_before);
    if (str_eq(key, STR("new")))
        return take_row(s, &f->after, &f->has_after);
    return skip_value(s);
}

unsigned pg_payload_ids(struct str payload, struct pg_id out[2])
{
    struct scan s = {payload, 0};
    struct found f = {.has_row = false};

    if (!take(&s, '{') || !take_members(&s, '}', top_member, &f))
        return 0;
    skip_space(&s);
    if (s.rest.len)
        return 0;
    if (f.has_row) {
        out[0] = f.row;
        return 1;
    }
    if (!f.has_before || !f.has_after)
        return 0;
    out[0] = f.before;
    out[1] = f.after;
    return memcmp(&f.before, &f.after, sizeof(f.before)) == 0 ? 1 : 2;
}
