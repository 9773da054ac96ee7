/*
 * Byte by byte, except the insides of strings, which are most of the input and are taken in runs.
 * Invariant: while skipping, `text` is not touched and no token is reported.
 */
#include "kube/json.h"

#include <endian.h>

enum state {
    AT_VALUE = 0,   /* a value must follow */
    AT_FIRST_VALUE, /* a value, or ']' */
    AT_FIRST_KEY,   /* a key, or '}' */
    AT_KEY,         /* a key must follow */
    AT_COLON,
    AT_NEXT, /* ',' or the end of the current level */
    IN_STRING,
    IN_ESCAPE, /* after '\' */
    IN_HEX,    /* in \uXXXX */
    IN_NUMBER,
    IN_LITERAL,
    AT_END,
    AT_FAULT,
};

/* Position in a number: RFC 8259 §6. */
enum number { NUM_SIGN = 0, NUM_ZERO, NUM_INT, NUM_DOT, NUM_FRACTION, NUM_E, NUM_E_SIGN, NUM_EXP };

#define REPLACEMENT 0xfffd

void json_init(struct json *j, size_t text_max,
               void (*token)(void *arg, enum json_token t, struct str text, bool cut), void *arg)
{
    *j = (struct json){.token = token, .arg = arg};
    buf_init(&j->text, text_max);
}

void json_release(struct json *j)
{
    buf_release(&j->text);
}

void json_reset(struct json *j)
{
    j->state = AT_VALUE;
    j->depth = 0;
    j->skip = j->skip_next = j->too_deep = false;
    j->high = 0;
    buf_clear(&j->text);
}

/* ---- tokens ---- */

static void emit(struct json *j, enum json_token t, struct str text)
{
    if (!j->skip)
        j->token(j->arg, t, text, j->cut);
}

static void value_ended(struct json *j)
{
    j->state = j->depth ? AT_NEXT : AT_END;
    if (j->skip && j->depth == j->skip_depth)
        j->skip = false;
}

/* A value begins: skips it if the owner does not want it. */
static void skip_begin(struct json *j)
{
    if (j->skip_next && !j->skip) {
        j->skip = true;
        j->skip_depth = j->depth;
    }
    j->skip_next = false;
}

void json_skip(struct json *j)
{
    if (j->state == AT_COLON) {
        j->skip_next = true;
    } else {
        j->skip = true;
        j->skip_depth = j->depth - 1;
    }
}

/* ---- levels ---- */

static bool in_object(const struct json *j)
{
    unsigned level = j->depth - 1;

    return level < JSON_DEPTH && (j->objects[level / 64] >> (level % 64) & 1);
}

static void open_level(struct json *j, bool object)
{
    unsigned level = j->depth++;

    if (level < JSON_DEPTH) {
        j->objects[level / 64] &= ~(UINT64_C(1) << (level % 64));
        j->objects[level / 64] |= (uint64_t)object << (level % 64);
    } else {
        j->too_deep = true;
    }
    j->state = object ? AT_FIRST_KEY : AT_FIRST_VALUE;
    emit(j, object ? JSON_OBJECT : JSON_ARRAY, STR(""));
}

static bool close_level(struct json *j, bool object)
{
    bool known = j->depth <= JSON_DEPTH;

    if (known && in_object(j) != object)
        return false;
    j->depth--;
    if (!(j->skip && j->depth == j->skip_depth))
        emit(j, object ? JSON_OBJECT_END : JSON_ARRAY_END, STR(""));
    value_ended(j);
    return true;
}

/* ---- strings ---- */

static void keep(struct json *j, const char *p, size_t n)
{
    size_t room = j->text.max - j->text.len;

    if (j->skip || j->cut)
        return;
    j->cut = n > room || buf_add(&j->text, p, n) < 0;
    if (j->cut && room < n)
        (void)buf_add(&j->text, p, room); /* it fits, or memory is short and the text is cut */
}

static void keep_code(struct json *j, uint32_t c)
{
    char utf8[4];
    size_t n = 0;

    if (c < 0x80) {
        utf8[n++] = (char)c;
    } else if (c < 0x800) {
        utf8[n++] = (char)(0xc0 | c >> 6);
        utf8[n++] = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        utf8[n++] = (char)(0xe0 | c >> 12);
        utf8[n++] = (char)(0x80 | (c >> 6 & 0x3f));
        utf8[n++] = (char)(0x80 | (c & 0x3f));
    } else {
        utf8[n++] = (char)(0xf0 | c >> 18);
        utf8[n++] = (char)(0x80 | (c >> 12 & 0x3f));
        utf8[n++] = (char)(0x80 | (c >> 6 & 0x3f));
        utf8[n++] = (char)(0x80 | (c & 0x3f));
    }
    keep(j, utf8, n);
}

/* Replaces a high surrogate without a low one. */
static void settle_surrogate(struct json *j)
{
    if (j->high)
        keep_code(j, REPLACEMENT);
    j->high = 0;
}

static void string_begin(struct json *j, bool key)
{
    j->is_key = key;
    j->cut = false;
    j->high = 0;
    j->state = IN_STRING;
    buf_clear(&j->text);
}

static void string_end(struct json *j, struct str text)
{
    j->state = j->is_key ? AT_COLON : AT_NEXT;
    emit(j, j->is_key ? JSON_KEY : JSON_STRING, text);
    j->cut = false;
    if (!j->is_key)
        value_ended(j);
}

static bool escape(struct json *j, char c)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at = c ? strchr(from, c) : NULL;

    if (c == 'u') {
        j->state = IN_HEX;
        j->hex_left = 4;
        j->code = 0;
        return true;
    }
    if (!at)
        return false;
    settle_surrogate(j);
    keep(j, &to[at - from], 1);
    j->state = IN_STRING;
    return true;
}

static bool hex(struct json *j, char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;

    if (!at)
        return false;
    j->code = j->code << 4 | (uint32_t)(at - digits);
    if (--j->hex_left)
        return true;
    j->state = IN_STRING;
    if (j->high && j->code >= 0xdc00 && j->code < 0xe000) {
        keep_code(j, 0x10000 + ((j->high - 0xd800) << 10) + (j->code - 0xdc00));
        j->high = 0;
        return true;
    }
    settle_surrogate(j);
    if (j->code >= 0xd800 && j->code < 0xdc00)
        j->high = j->code;
    else
        keep_code(j, j->code >= 0xdc00 && j->code < 0xe000 ? REPLACEMENT : j->code);
    return true;
}

#define EVERY_LANE(byte) (0x0101010101010101u * (uint64_t)(byte))

/* Bytes before a quote, a backslash or a control character. Eight at a time; a borrow only reaches
 * lanes above a true hit, so the lowest one is exact. */
static size_t plain_len(const char *p, size_t n)
{
    size_t i = 0;
    uint64_t w, hit;

    for (; n - i >= 8; i += 8) {
        memcpy(&w, p + i, 8);
        w = le64toh(w);
        hit = (w - EVERY_LANE(' ')) | ((w ^ EVERY_LANE('"')) - EVERY_LANE(1)) |
              ((w ^ EVERY_LANE('\\')) - EVERY_LANE(1));
        hit &= ~w & EVERY_LANE(0x80);
        if (hit)
            return i + (size_t)__builtin_ctzll(hit) / 8;
    }
    while (i < n && p[i] != '"' && p[i] != '\\' && (unsigned char)p[i] >= 0x20)
        i++;
    return i;
}

/* Takes a run of plain bytes and what ends it. Returns the bytes taken; 0 = not JSON. */
static size_t string_run(struct json *j, const char *p, size_t n)
{
    size_t i = plain_len(p, n);

    if (i)
        settle_surrogate(j);
    if (i == n || (unsigned char)p[i] < 0x20) { /* not JSON; the caller sees it next */
        keep(j, p, i);
        return i;
    }
    if (p[i] == '\\') {
        keep(j, p, i);
        j->state = IN_ESCAPE;
        return i + 1;
    }
    settle_surrogate(j);
    if (j->text.len == 0 && !j->cut && !j->skip && i <= j->text.max) {
        string_end(j, str_make(p, i)); /* entirely in this input: no copy */
        return i + 1;
    }
    keep(j, p, i);
    string_end(j, buf_str(&j->text));
    return i + 1;
}

/* ---- numbers and words ---- */

static bool number_may_end(const struct json *j)
{
    return j->number == NUM_ZERO || j->number == NUM_INT || j->number == NUM_FRACTION ||
           j->number == NUM_EXP;
}

/* True, and the state advanced, when <c> continues the number. */
static bool number_goes_on(struct json *j, char c)
{
    bool digit = c >= '0' && c <= '9';
    bool e = c == 'e' || c == 'E';

    switch (j->number) {
    case NUM_SIGN:
        j->number = c == '0' ? NUM_ZERO : NUM_INT;
        return digit;
    case NUM_ZERO:
    case NUM_INT:
        if (digit)
            return j->number == NUM_INT;
        j->number = c == '.' ? NUM_DOT : e ? NUM_E : j->number;
        return c == '.' || e;
    case NUM_DOT:
        j->number = NUM_FRACTION;
        return digit;
    case NUM_FRACTION:
        j->number = e ? NUM_E : NUM_FRACTION;
        return digit || e;
    case NUM_E:
        j->number = digit ? NUM_EXP : NUM_E_SIGN;
        return digit || c == '+' || c == '-';
    case NUM_E_SIGN:
        j->number = NUM_EXP;
        return digit;
    default:
        return digit;
    }
}

static void number_begin(struct json *j, char c)
{
    j->state = IN_NUMBER;
    j->number = c == '-' ? NUM_SIGN : c == '0' ? NUM_ZERO : NUM_INT;
    j->cut = false;
    buf_clear(&j->text);
    keep(j, &c, 1);
}

static bool is_number_char(char c)
{
    return (c >= '0' && c <= '9') || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-';
}

static void literal_begin(struct json *j, const char *word)
{
    j->state = IN_LITERAL;
    j->literal = word;
    j->literal_at = 1;
}

static bool literal(struct json *j, char c)
{
    if (j->literal[j->literal_at] != c)
        return false;
    if (j->literal[++j->literal_at])
        return true;
    emit(j, *j->literal == 't' ? JSON_TRUE : *j->literal == 'f' ? JSON_FALSE : JSON_NULL, STR(""));
    value_ended(j);
    return true;
}

/* ---- between tokens ---- */

static bool value(struct json *j, char c)
{
    skip_begin(j);
    switch (c) {
    case '{':
    case '[':
        open_level(j, c == '{');
        return true;
    case '"':
        string_begin(j, false);
        return true;
    case 't':
        literal_begin(j, "true");
        return true;
    case 'f':
        literal_begin(j, "false");
        return true;
    case 'n':
        literal_begin(j, "null");
        return true;
    default:
        if (c != '-' && (c < '0' || c > '9'))
            return false;
        number_begin(j, c);
        return true;
    }
}

static bool next(struct json *j, char c)
{
    if (c == '}' || c == ']')
        return close_level(j, c == '}');
    if (c != ',')
        return false;
    j->state = in_object(j) ? AT_KEY : AT_VALUE;
    return true;
}

/* Below JSON_DEPTH brackets are only counted: a comma may be followed by a key or a value. */
static bool deep(struct json *j, char c)
{
    if (c == '}' || c == ']')
        return close_level(j, c == '}');
    if (c == ':' || c == ',')
        return true;
    return value(j, c);
}

static bool between(struct json *j, char c)
{
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t')
        return true;
    if (j->depth > JSON_DEPTH)
        return deep(j, c);
    switch (j->state) {
    case AT_FIRST_VALUE:
        if (c == ']')
            return close_level(j, false);
        return value(j, c);
    case AT_VALUE:
        return value(j, c);
    case AT_FIRST_KEY:
    case AT_KEY:
        if (c == '}' && j->state == AT_FIRST_KEY)
            return close_level(j, true);
        string_begin(j, true);
        return c == '"';
    case AT_COLON:
        j->state = AT_VALUE;
        return c == ':';
    default:
        return next(j, c);
    }
}

/* Takes at least one byte, or none when it is not JSON. */
static size_t take(struct json *j, const char *p, size_t n)
{
    switch (j->state) {
    case IN_STRING:
        return string_run(j, p, n);
    case IN_ESCAPE:
        return escape(j, *p);
    case IN_HEX:
        return hex(j, *p);
    case IN_LITERAL:
        return literal(j, *p);
    case IN_NUMBER:
        if (is_number_char(*p)) {
            keep(j, p, 1);
            return number_goes_on(j, *p);
        }
        if (!number_may_end(j))
            return 0;
        emit(j, JSON_NUMBER, buf_str(&j->text));
        j->cut = false;
        value_ended(j);
        if (j->state == AT_END)
            return 1;
        return between(j, *p);
    default:
        return between(j, *p);
    }
}

enum json_result json_feed(struct json *j, const char *p, size_t n, size_t *used)
{
    *used = 0;
    while (*used < n && j->state != AT_END && j->state != AT_FAULT) {
        size_t taken = take(j, p + *used, n - *used);

        if (!taken)
            j->state = AT_FAULT;
        *used += taken;
    }
    return j->state == AT_END ? JSON_DONE : j->state == AT_FAULT ? JSON_BAD : JSON_MORE;
}
