/* Cards, mail addresses and IPv4 addresses in a text. The time is linear in its length. */
#include "sieve/redact.h"

#include <string.h>

#define CARD_MIN 13
#define CARD_MAX 19
#define GROUP_MIN 3    /* digits of a card's groups: a date's are two */
#define LOCAL_MAX 64   /* bytes in front of the @ ... */
#define DOMAIN_MAX 253 /* ... and behind it */
#define TOP_LEVEL_MIN 2

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

/* ---- cards ---- */

/* The digits of a card so far. */
struct card {
    unsigned n;
    unsigned sum[2]; /* of Luhn: [n % 2] = when the number of digits is even, odd */
};

static void card_add(struct card *c, char digit)
{
    unsigned d = (unsigned)(digit - '0'), twice = d * 2 > 9 ? d * 2 - 9 : d * 2;

    /* Every second digit is doubled, counted from the last one. */
    c->sum[c->n % 2] += twice;
    c->sum[(c->n + 1) % 2] += d;
    c->n++;
}

static bool card_is_valid(const struct card *c)
{
    return c->n >= CARD_MIN && c->n <= CARD_MAX && c->sum[c->n % 2] % 10 == 0;
}

/* The end of the longest card that begins at <from>, where a group of digits does; 0 = none. */
static size_t card_end(struct str text, size_t from)
{
    struct card card = {0};
    size_t end = 0, i = from;
    char between = '\0';

    if (text.p[from] < '2' || text.p[from] > '6') /* who issues them */
        return 0;
    while (card.n <= CARD_MAX) {
        size_t begun = i;

        while (i < text.len && is_digit(text.p[i]) && card.n <= CARD_MAX)
            card_add(&card, text.p[i++]);
        if (i - begun < GROUP_MIN || (i < text.len && is_digit(text.p[i])))
            break;
        if (card_is_valid(&card))
            end = i;
        if (i + 1 >= text.len || !strchr(" -", text.p[i]) || !text.p[i] ||
            (between && text.p[i] != between) || !is_digit(text.p[i + 1]))
            break;
        between = text.p[i++];
    }
    return end;
}

bool redact_find_card(struct str text, size_t from, struct pattern_span *at)
{
    for (size_t i = from; i < text.len; i++) {
        size_t end;

        if (!is_digit(text.p[i]))
            continue;
        end = i && is_digit(text.p[i - 1]) ? 0 : card_end(text, i);
        if (end) {
            *at = (struct pattern_span){i, end};
            return true;
        }
        while (i + 1 < text.len && is_digit(text.p[i + 1]))
            i++;
    }
    return false;
}

/* ---- mail addresses ---- */

static bool is_local(char c)
{
    return is_letter(c) || is_digit(c) || (c && strchr(".!#$%&'*+-/=?^_`{|}~", c)) || (c & 0x80);
}

/* The end of the domain that begins at <from>; 0 = there is none. It has a dot, and letters behind the
 * last one. */
static size_t domain_end(struct str text, size_t from)
{
    size_t i = from, end = 0, label = from;
    bool letters = true;

    for (; i < text.len && i < from + DOMAIN_MAX; i++) {
        char c = text.p[i];

        if (c == '.' && i > label) {
            label = i + 1;
            letters = true;
        } else if (is_letter(c) || is_digit(c) || c == '-' || (c & 0x80)) {
            letters = letters && (is_letter(c) || (c & 0x80));
            if (label > from && letters && i + 1 >= label + TOP_LEVEL_MIN)
                end = i + 1;
        } else {
            break;
        }
    }
    return end;
}

bool redact_find_email(struct str text, size_t from, struct pattern_span *at)
{
    const char *p;

    for (size_t i = from; i < text.len; i = (size_t)(p + 1 - text.p)) {
        size_t begin, end;

        p = memchr(text.p + i, '@', text.len - i);
        if (!p)
            return false;
        begin = (size_t)(p - text.p);
        while (begin > from && (size_t)(p - text.p) - begin < LOCAL_MAX &&
               is_local(text.p[begin - 1]))
            begin--;
        /* What stands in front of it in a log, as in to=a@b.example. */
        for (size_t k = begin; k + 1 < (size_t)(p - text.p); k++)
            if (strchr("=/|'`{}?&", text.p[k]))
                begin = k + 1;
        end = begin < (size_t)(p - text.p) ? domain_end(text, (size_t)(p + 1 - text.p)) : 0;
        if (end) {
            *at = (struct pattern_span){begin, end};
            return true;
        }
    }
    return false;
}

/* ---- addresses ---- */

/* The end of the address that begins at <from>; 0 = none does. */
static size_t ipv4_end(struct str text, size_t from)
{
    size_t i = from;

    for (unsigned part = 0; part < 4; part++) {
        unsigned value = 0, digits = 0;

        if (part && (i >= text.len || text.p[i++] != '.'))
            return 0;
        for (; i < text.len && is_digit(text.p[i]) && digits < 4; i++, digits++)
            value = value * 10 + (unsigned)(text.p[i] - '0');
        if (!digits || digits > 3 || value > 255)
            return 0;
    }
    return i + 1 < text.len && text.p[i] == '.' && is_digit(text.p[i + 1]) ? 0 : i;
}

bool redact_find_ipv4(struct str text, size_t from, struct pattern_span *at)
{
    for (size_t i = from; i < text.len; i++) {
        size_t end;

        if (!is_digit(text.p[i]) || (i && is_digit(text.p[i - 1])) ||
            (i > 1 && text.p[i - 1] == '.' && is_digit(text.p[i - 2])))
            continue;
        end = ipv4_end(text, i);
        if (end) {
            *at = (struct pattern_span){i, end};
            return true;
        }
    }
    return false;
}
