/*
 * Credentials that can be told by how they look: tokens whose issuers give them a prefix, JSON Web Tokens,
 * what follows "Bearer" and "Basic", and user and password of a URL.
 */
#include <string.h>

#include "base/mem.h"
#include "sieve/redact.h"

#define USERINFO_MAX 256 /* bytes of user:password in a URL */

#define TEXT(s)                                                                                    \
    {                                                                                              \
        s, sizeof(s) - 1                                                                           \
    }

enum { DIGITS = 1, LETTERS = 2, UNDERSCORE = 4, DASH = 8, DOT = 16, BASE64 = 32 };

#define WORD (DIGITS | LETTERS)
#define BASE64URL (WORD | UNDERSCORE | DASH)

static const struct issuer {
    struct str prefix;
    unsigned char bytes; /* of the token, behind it */
    unsigned char least; /* ... and how many */
    bool scheme;         /* a word in any case, which stays; prose may follow it */
} issuers[] = {
    {TEXT("eyJ"), BASE64URL | DOT, 20, false}, /* a JSON Web Token */
    {TEXT("AKIA"), WORD, 16, false},           /* AWS */
    {TEXT("ASIA"), WORD, 16, false},
    {TEXT("ghp_"), WORD, 30, false}, /* GitHub */
    {TEXT("gho_"), WORD, 30, false},
    {TEXT("ghu_"), WORD, 30, false},
    {TEXT("ghs_"), WORD, 30, false},
    {TEXT("ghr_"), WORD, 30, false},
    {TEXT("github_pat_"), WORD | UNDERSCORE, 22, false},
    {TEXT("glpat-"), BASE64URL | DOT, 20, false}, /* GitLab */
    {TEXT("xoxa-"), WORD | DASH, 10, false},      /* Slack */
    {TEXT("xoxb-"), WORD | DASH, 10, false},
    {TEXT("xoxe-"), WORD | DASH, 10, false},
    {TEXT("xoxp-"), WORD | DASH, 10, false},
    {TEXT("xoxr-"), WORD | DASH, 10, false},
    {TEXT("xoxs-"), WORD | DASH, 10, false},
    {TEXT("xapp-"), WORD | DASH, 10, false},
    {TEXT("sk_live_"), WORD, 16, false}, /* Stripe */
    {TEXT("sk_test_"), WORD, 16, false},
    {TEXT("rk_live_"), WORD, 16, false},
    {TEXT("rk_test_"), WORD, 16, false},
    {TEXT("whsec_"), WORD, 16, false},
    {TEXT("sk-"), BASE64URL, 20, false},  /* OpenAI, Anthropic */
    {TEXT("AIza"), BASE64URL, 35, false}, /* Google */
    {TEXT("ya29."), BASE64URL | DOT, 20, false},
    {TEXT("SG."), BASE64URL | DOT, 40, false}, /* SendGrid */
    {TEXT("npm_"), WORD, 36, false},
    {TEXT("hvs."), BASE64URL, 24, false}, /* Vault */
    {TEXT("dop_v1_"), WORD, 64, false},   /* DigitalOcean */
    {TEXT("Bearer "), BASE64URL | DOT | BASE64, 8, true},
    {TEXT("Basic "), BASE64URL | DOT | BASE64, 8, true},
};

static bool is_of(char c, unsigned bytes)
{
    if (c >= '0' && c <= '9')
        return bytes & DIGITS;
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
        return bytes & LETTERS;
    return (bytes & UNDERSCORE && c == '_') || (bytes & DASH && c == '-') ||
           (bytes & DOT && c == '.') || (bytes & BASE64 && c && strchr("+/=~", c));
}

/* A word of a sentence has small letters, behind the first one. */
static bool is_prose(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!(s.p[i] >= 'a' && s.p[i] <= 'z') && !(i == 0 && s.p[0] >= 'A' && s.p[0] <= 'Z') &&
            !(i + 1 == s.len && s.p[i] == '.'))
            return false;
    return true;
}

/* Does the token of <issuer> begin at <from>? */
static bool is_issued(const struct issuer *issuer, struct str text, size_t from,
                      struct pattern_span *at)
{
    struct str rest = str_skip(text, from), head = str_head(rest, issuer->prefix.len);
    size_t begin = from + issuer->prefix.len, end = begin;

    if (!(issuer->scheme ? str_ieq(head, issuer->prefix) : str_eq(head, issuer->prefix)))
        return false;
    while (end < text.len && is_of(text.p[end], issuer->bytes))
        end++;
    if (end - begin < issuer->least ||
        (issuer->scheme && is_prose(str_make(text.p + begin, end - begin))))
        return false;
    *at = (struct pattern_span){issuer->scheme ? begin : from, end};
    return true;
}

/* "user:password" of a URL, whose "://" is at <from>. */
static bool is_userinfo(struct str text, size_t from, struct pattern_span *at)
{
    struct str rest = str_skip(text, from + 3);
    bool password = false;

    for (size_t i = 0; i < rest.len && i < USERINFO_MAX; i++) {
        char c = rest.p[i];

        if (c == '@' && password) {
            *at = (struct pattern_span){from + 3, from + 3 + i};
            return true;
        }
        if ((unsigned char)c <= ' ' || strchr("/?#\"'<>@", c))
            return false;
        password = password || c == ':';
    }
    return false;
}

bool redact_find_token(struct str text, size_t from, struct pattern_span *at)
{
    for (size_t i = from; i < text.len; i++) {
        char c = text.p[i];

        if (c == ':' && str_starts(str_skip(text, i), STR("://")) && is_userinfo(text, i, at))
            return true;
        if (!is_of(c, LETTERS) || (i > from && is_of(text.p[i - 1], WORD | UNDERSCORE)))
            continue;
        for (size_t k = 0; k < ARRAY_LEN(issuers); k++)
            if ((c | 0x20) == (issuers[k].prefix.p[0] | 0x20) &&
                is_issued(&issuers[k], text, i, at))
                return true;
    }
    return false;
}
