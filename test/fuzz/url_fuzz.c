/*
 * The URL parser, the mask and the query walk with arbitrary bytes. Invariants:
 *
 *   - a parsed URL is within its limits, and the host is plain: the policy sees what is connected
 *     to;
 *   - the masked URL parses again to the same scheme, host and port;
 *   - the masked URL does not depend on user, password or values of options that are not public.
 *     This is stronger than "does not contain them", which a one-letter password breaks by chance;
 *   - a secret planted as userinfo, as a value or as a bare token is shown by neither url_mask(),
 *     url_mask_text() nor the error.
 */
#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/url.h"

#define CANARY "cAnArY0"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond))                                                                               \
            BUG("does not hold: %s", #cond);                                                       \
    } while (0)

static bool holds_canary(struct str s)
{
    return s.len && memmem(s.p, s.len, CANARY, sizeof(CANARY) - 1);
}

static bool is_public(const void *arg, struct str name)
{
    static const char list[] = " format compression insecure framing batch connections linger max "
                               "sd timeout servername index mode maxlen group since ";
    char word[16];

    (void)arg;
    if (name.len == 0 || name.len > 12 || memchr(name.p, ' ', name.len))
        return false;
    word[0] = ' ';
    memcpy(word + 1, name.p, name.len);
    memcpy(word + 1 + name.len, " ", 2);
    return strstr(list, word) != NULL;
}

static struct buf mask_of(const struct url *u)
{
    struct buf out = BUF_INIT(8 * URL_MAX);

    MUST(url_mask(&out, u, is_public, NULL) == 0);
    return out;
}

static void check_plain(const struct url *u)
{
    struct in6_addr addr;

    MUST(u->scheme.len > 0 && u->host.len <= HOST_MAX);
    MUST(u->host.len > 0 || (!u->has_user && u->port == 0));
    MUST(!u->ipv6 || inet_pton(AF_INET6, u->host.p, &addr) == 1);
    for (size_t i = 0; i < u->host.len; i++) {
        char c = u->host.p[i];

        MUST((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_' ||
             (c == ':' && u->ipv6));
    }
    MUST(u->path.len == 0 || u->path.p[0] == '/');
}

static void check_mask_keeps_target(const struct url *u, struct str mask)
{
    struct url again;

    if (mask.len > URL_MAX) /* "***" is longer than an empty value */
        return;
    MUST(url_parse(&again, mask, NULL) == 0);
    MUST(str_eq(again.scheme, u->scheme) && str_eq(again.host, u->host));
    MUST(again.port == u->port && again.ipv6 == u->ipv6 && again.has_user == u->has_user);
    url_release(&again);
}

/* The same query with another secret in every value that is not public. */
static void query_with_other_secrets(struct buf *out, struct str query)
{
    const char *end = query.p + query.len;
    struct str pair;

    while (str_cut(&query, '&', &pair)) {
        ptrdiff_t eq = str_find(pair, '=');
        struct str name = eq < 0 ? pair : str_head(pair, (size_t)eq);
        struct str value = eq < 0 ? str_make("", 0) : str_skip(pair, (size_t)eq + 1);

        while (value.len && value.p[0] == '=')
            value = str_skip(value, 1);
        if (pair.len == 0 || is_public(NULL, name))
            MUST(buf_add_str(out, pair) == 0);
        else if (value.len == 0) /* a bare token is secret */
            MUST(buf_add_str(out, STR(CANARY)) == 0);
        else
            MUST(buf_addf(out, "%.*s=" CANARY, STR_ARG(name)) == 0);
        if (pair.p + pair.len < end)
            MUST(buf_add_ch(out, '&') == 0);
    }
}

static void check_mask_ignores_secrets(const struct url *u, struct str mask)
{
    struct url other = *u; /* views only: not released */
    struct buf query = BUF_INIT(8 * URL_MAX), masked;

    query_with_other_secrets(&query, u->query);
    other.user = STR(CANARY);
    other.password = STR(CANARY);
    other.query = buf_str(&query);
    masked = mask_of(&other);
    MUST(str_eq(buf_str(&masked), mask));
    buf_release(&masked);
    buf_release(&query);
}

static void check_query_walk(const struct url *u)
{
    struct str rest = u->query, key;
    struct buf value = BUF_INIT(URL_MAX);
    size_t pairs = 0;

    while (url_query_next(&rest, &key, &value) ==
           1) { /* -1 would be: url_parse() let bad encoding by */
        MUST(value.len <= u->query.len);
        pairs++;
    }
    MUST(rest.len == 0 && pairs <= u->query.len);
    buf_release(&value);
}

static void check(struct str text)
{
    struct url u;
    struct err e = {0, ""};
    struct buf mask;

    if (url_parse(&u, text, &e) < 0) {
        MUST(e.code != 0 && e.text[0] != '\0');
        return;
    }
    check_plain(&u);
    mask = mask_of(&u);
    check_mask_keeps_target(&u, buf_str(&mask));
    check_mask_ignores_secrets(&u, buf_str(&mask));
    check_query_walk(&u);
    buf_release(&mask);
    url_release(&u);
}

/* <text> contains the canary where a secret would be. */
static void check_hidden(struct str text)
{
    struct url u;
    struct err e = {0, ""};
    struct buf shown = BUF_INIT(8 * URL_MAX);

    if (url_parse(&u, text, &e) == 0) {
        MUST(url_mask(&shown, &u, is_public, NULL) == 0);
        url_release(&u);
    }
    MUST(!holds_canary(buf_str(&shown)) && !holds_canary(str_of(e.text)));
    buf_clear(&shown);
    MUST(url_mask_text(&shown, text) == 0);
    MUST(!holds_canary(buf_str(&shown)));
    buf_release(&shown);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const before[] = {
        "http://u:" CANARY "@",    "redis://" CANARY ":p@",
        "http://h/?token=" CANARY, "http://h?format=json&" CANARY "&",
        "x://h:1?ca=" CANARY "&",
    };
    struct str text = str_make((const char *)data, size);
    struct buf planted = BUF_INIT(4 * URL_MAX);

    if (size > 2 * URL_MAX)
        return 0;
    check(text);
    if (holds_canary(text))
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(before); i++) {
        buf_clear(&planted);
        MUST(buf_add_str(&planted, str_of(before[i])) == 0 && buf_add_str(&planted, text) == 0);
        check_hidden(buf_str(&planted));
        check(buf_str(&planted));
    }
    buf_release(&planted);
    return 0;
}
