/*
 * A strict reader of RFC 5424 messages for the tests: what our encoder writes must be read back by
 * it. Written from the grammar of the RFC, it shares nothing with src/.
 */
#ifndef TEST_RFC5424_READER_H
#define TEST_RFC5424_READER_H

#include <ctype.h>

#include "base/buf.h"
#include "base/str.h"

struct rfc5424 {
    int pri;
    struct str time, host, app, procid, msgid, sd;
    struct str msg;
};

static inline bool rfc5424_word(struct str *rest, size_t max, struct str *out)
{
    if (!str_cut(rest, ' ', out) || out->len == 0 || out->len > max)
        return false;
    for (size_t i = 0; i < out->len; i++) {
        if (out->p[i] < 33 || out->p[i] > 126)
            return false;
    }
    return true;
}

static inline bool rfc5424_number(struct str s, size_t at, size_t n, unsigned low, unsigned high)
{
    unsigned v = 0;

    if (at + n > s.len)
        return false;
    for (size_t i = at; i < at + n; i++) {
        if (!isdigit((unsigned char)s.p[i]))
            return false;
        v = v * 10 + (unsigned)(s.p[i] - '0');
    }
    return v >= low && v <= high;
}

static inline bool rfc5424_time_ok(struct str t)
{
    size_t at = 19;

    if (t.len < 20 || !rfc5424_number(t, 0, 4, 0, 9999) || t.p[4] != '-' ||
        !rfc5424_number(t, 5, 2, 1, 12) || t.p[7] != '-' || !rfc5424_number(t, 8, 2, 1, 31) ||
        t.p[10] != 'T' || !rfc5424_number(t, 11, 2, 0, 23) || t.p[13] != ':' ||
        !rfc5424_number(t, 14, 2, 0, 59) || t.p[16] != ':' || !rfc5424_number(t, 17, 2, 0, 59))
        return false;
    if (t.p[at] == '.') {
        size_t digits = 0;

        while (at + 1 + digits < t.len && isdigit((unsigned char)t.p[at + 1 + digits]))
            digits++;
        if (digits < 1 || digits > 6)
            return false;
        at += 1 + digits;
    }
    if (at + 1 == t.len)
        return t.p[at] == 'Z';
    return at + 6 == t.len && (t.p[at] == '+' || t.p[at] == '-') &&
           rfc5424_number(t, at + 1, 2, 0, 23) && t.p[at + 3] == ':' &&
           rfc5424_number(t, at + 4, 2, 0, 59);
}

static inline size_t rfc5424_sd_name(struct str s, size_t i)
{
    size_t start = i;

    while (i < s.len && s.p[i] > 32 && s.p[i] < 127 && !strchr("=]\"", s.p[i]))
        i++;
    return i - start >= 1 && i - start <= 32 ? i : 0;
}

/* Walks the structured data at the start of <s>. Returns its length, 0 when it is not well-formed.
 * With <name>, the value of the first parameter of that name goes to <value>, unescaped. */
static inline size_t rfc5424_sd(struct str s, const char *name, struct buf *value, bool *found)
{
    size_t i = 0;

    *found = false;
    if (s.len && s.p[0] == '-')
        return 1;
    while (i < s.len && s.p[i] == '[') {
        if (!(i = rfc5424_sd_name(s, i + 1)))
            return 0;
        while (i < s.len && s.p[i] == ' ') {
            size_t start = i + 1;
            bool wanted;

            if (!(i = rfc5424_sd_name(s, start)) || s.len - i < 2 || s.p[i] != '=' ||
                s.p[i + 1] != '"')
                return 0;
            wanted = name && !*found && str_eq(str_make(s.p + start, i - start), str_of(name));
            *found = *found || wanted;
            for (i += 2; i < s.len && s.p[i] != '"'; i++) {
                if (s.p[i] == ']')
                    return 0;
                if (s.p[i] == '\\' && i + 1 < s.len && strchr("\"\\]", s.p[i + 1]))
                    i++;
                if (wanted && buf_add_ch(value, s.p[i]) < 0)
                    return 0;
            }
            if (i++ == s.len)
                return 0;
        }
        if (i >= s.len || s.p[i++] != ']')
            return 0;
    }
    return i;
}

static inline bool rfc5424_read(struct str text, struct rfc5424 *m)
{
    struct str rest = text, pri, word;
    uint64_t n;
    bool found;
    size_t sd;

    if (!str_cut(&rest, ' ', &word) || word.len < 4 || word.p[0] != '<' ||
        !str_ends(word, STR(">1")))
        return false;
    pri = str_make(word.p + 1, word.len - 3);
    if (!str_to_u64(pri, 191, &n) || (pri.len > 1 && pri.p[0] == '0'))
        return false;
    m->pri = (int)n;
    if (!rfc5424_word(&rest, 35, &m->time) || !rfc5424_time_ok(m->time) ||
        !rfc5424_word(&rest, 255, &m->host) || !rfc5424_word(&rest, 48, &m->app) ||
        !rfc5424_word(&rest, 128, &m->procid) || !rfc5424_word(&rest, 32, &m->msgid))
        return false;
    sd = rfc5424_sd(rest, NULL, NULL, &found);
    if (sd == 0 || sd >= rest.len || rest.p[sd] != ' ')
        return false;
    m->sd = str_head(rest, sd);
    m->msg = str_skip(rest, sd + 1);
    return true;
}

#endif
