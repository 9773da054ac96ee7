/*
 * Parsing and masking of drain URLs. One pass finds scheme, userinfo, host, port, path and query.
 * The egress policy and the connection use the same views, so they cannot disagree.
 *
 * All parts are copied into one allocation, each followed by a NUL:
 *
 *   store: scheme\0 user\0 password\0 host\0 path\0 query\0
 *
 * The query is always last, so url_release() knows how much to wipe.
 *
 * This file does not know which schemes exist, which need a host, or what options mean.
 */
#include "base/url.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"

/* A path segment of at least this length that mixes letters and digits is taken for a token
 * (webhooks have them there). */
#define TOKEN_MIN 20
#define SCHEME_SHOWN_MAX 32 /* longer than any known scheme */

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Next decoded byte of <*s>, or -1 when the encoding is bad. <*s> is not empty. */
static int next_decoded(struct str *s)
{
    int hi, lo;

    if (s->p[0] != '%') {
        lo = (unsigned char)s->p[0];
        *s = str_skip(*s, 1);
        return lo;
    }
    if (s->len < 3)
        return -1;
    hi = hex_value(s->p[1]);
    lo = hex_value(s->p[2]);
    if (hi < 0 || lo < 0)
        return -1;
    *s = str_skip(*s, 3);
    return hi << 4 | lo;
}

/* Whether every % is followed by two hex digits, and (unless <controls>) none of them means a
 * control character. */
static bool encoding_ok(struct str s, bool controls)
{
    while (s.len) {
        int c = next_decoded(&s);

        if (c < 0 || (!controls && is_control((char)c)))
            return false;
    }
    return true;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Writing into the store: each function moves <*at> behind the NUL and returns the view. */
static struct str store_add(char **at, struct str s, bool to_lower)
{
    struct str out = str_make(*at, s.len);

    for (size_t i = 0; i < s.len; i++)
        (*at)[i] = to_lower ? lower(s.p[i]) : s.p[i];
    (*at)[s.len] = '\0';
    *at += s.len + 1;
    return out;
}

/* <s> has passed encoding_ok(). */
static struct str store_add_decoded(char **at, struct str s)
{
    char *start = *at;

    while (s.len)
        *(*at)++ = (char)next_decoded(&s);
    *(*at)++ = '\0';
    return str_make(start, (size_t)(*at - start) - 1);
}

/* The pieces of the text as found, before anything is copied. */
struct pieces {
    struct str scheme, user, password, host, path, query;
    bool has_user, has_password, ipv6;
    uint16_t port;
};

/* Cuts "scheme://" off <*s>. */
static bool cut_scheme(struct str *s, struct str *scheme)
{
    ptrdiff_t at = str_find(*s, ':');

    if (at < 1 || !str_starts(str_skip(*s, (size_t)at), STR("://")) || !is_alpha(s->p[0]))
        return false;
    for (ptrdiff_t i = 0; i < at; i++)
        if (!is_alpha(s->p[i]) && !is_digit(s->p[i]) && s->p[i] != '+' && s->p[i] != '-' &&
            s->p[i] != '.')
            return false;
    *scheme = str_head(*s, (size_t)at);
    *s = str_skip(*s, (size_t)at + 3);
    return true;
}

/* Everything before the first of <set>; the rest stays in <*s>. */
static struct str cut_before(struct str *s, const char *set)
{
    size_t n = 0;
    struct str head;

    while (n < s->len && !strchr(set, s->p[n])) /* no NUL in there: checked before */
        n++;
    head = str_head(*s, n);
    *s = str_skip(*s, n);
    return head;
}

static int parse_userinfo(struct pieces *u, struct str info, struct err *e)
{
    ptrdiff_t colon = str_find(info, ':');

    u->has_user = true;
    u->user = info;
    if (colon >= 0) {
        u->has_password = true;
        u->user = str_head(info, (size_t)colon);
        u->password = str_skip(info, (size_t)colon + 1);
    }
    if (!encoding_ok(u->user, false) || !encoding_ok(u->password, false))
        return err_set(e, EINVAL, "url: bad percent-encoding in user or password");
    return 0;
}

static int check_name(struct str host, struct err *e)
{
    if (host.len > HOST_MAX)
        return err_set(e, EINVAL, "url: host is longer than %d bytes", HOST_MAX);
    for (size_t i = 0; i < host.len; i++) {
        char c = host.p[i];

        if (!is_alpha(c) && !is_digit(c) && !strchr("-._", c))
            return err_set(e, EINVAL, "url: invalid character in the host");
        if (c == '.' && (i == 0 || host.p[i - 1] == '.'))
            return err_set(e, EINVAL, "url: host has an empty label");
    }
    return 0;
}

/* <s> starts with '['; what follows the ']' stays in <*s>. */
static int parse_ipv6(struct pieces *u, struct str *s, struct err *e)
{
    ptrdiff_t end = str_find(*s, ']');
    char text[INET6_ADDRSTRLEN];
    struct in6_addr addr;

    if (end < 0)
        return err_set(e, EINVAL, "url: '[' without ']' in the host");
    u->host = str_skip(str_head(*s, (size_t)end), 1);
    *s = str_skip(*s, (size_t)end + 1);
    if (str_find(u->host, '%') >= 0)
        return err_set(e, EINVAL, "url: an ipv6 zone is not allowed");
    if (u->host.len >= sizeof(text))
        return err_set(e, EINVAL, "url: bad ipv6 address");
    memcpy(text, u->host.p, u->host.len);
    text[u->host.len] = '\0';
    if (inet_pton(AF_INET6, text, &addr) != 1)
        return err_set(e, EINVAL, "url: bad ipv6 address");
    u->ipv6 = true;
    return 0;
}

static int parse_authority(struct pieces *u, struct str s, struct err *e)
{
    ptrdiff_t at = str_rfind(s, '@');
    uint64_t port;

    if (at >= 0) {
        if (str_find(s, '@') != at)
            return err_set(e, EINVAL, "url: '@' inside user or password must be written %%40");
        if (parse_userinfo(u, str_head(s, (size_t)at), e) < 0)
            return -1;
        s = str_skip(s, (size_t)at + 1);
    }
    if (s.len && s.p[0] == '[') {
        if (parse_ipv6(u, &s, e) < 0)
            return -1;
        if (s.len && s.p[0] != ':')
            return err_set(e, EINVAL, "url: only a port may follow ']'");
    } else {
        u->host = cut_before(&s, ":");
        if (check_name(u->host, e) < 0)
            return -1;
    }
    if (u->host.len == 0 && (s.len || u->has_user))
        return err_set(e, EINVAL, "url: no host");
    if (s.len == 0)
        return 0;
    if (!str_to_u64(str_skip(s, 1), UINT16_MAX, &port) || port == 0)
        return err_set(e, EINVAL, "url: port must be a number from 1 to 65535");
    u->port = (uint16_t)port;
    return 0;
}

static int check_bytes(struct str text, struct err *e)
{
    if (text.len > URL_MAX)
        return err_set(e, EINVAL, "url: longer than %d bytes", URL_MAX);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.p[i];

        if (c <= ' ' || c >= 0x7f || c == '\\')
            return err_set(e, EINVAL, "url: holds a space, backslash, control or non-ascii byte");
    }
    return 0;
}

/* A password that is not encoded ends the host at its first '/', '?' or '#'. */
#define ENCODE_HINT                                                                                \
    "in a user or password, '/' is written %2F, '?' is %3F, '#' is %23 and '@' is %40"

static int parse_pieces(struct pieces *u, struct str s, struct err *e)
{
    struct str authority;

    if (check_bytes(s, e) < 0)
        return -1;
    if (!cut_scheme(&s, &u->scheme))
        return err_set(e, EINVAL, "url: does not start with scheme://");
    authority = cut_before(&s, "/?#");
    if (parse_authority(u, authority, e) < 0)
        return str_find(s, '@') < 0 ? -1 : err_set(e, EINVAL, "url: %s", ENCODE_HINT);
    u->path = cut_before(&s, "?#");
    if (s.len && s.p[0] == '?') {
        s = str_skip(s, 1);
        u->query = cut_before(&s, "#");
    }
    /* http://a@b#@c: other parsers take c for the host, so this URL is meant to mislead. */
    if (str_find(s, '@') >= 0)
        return err_set(e, EINVAL, "url: '@' after '#': %s", ENCODE_HINT);
    if (!encoding_ok(u->path, false))
        return err_set(e, EINVAL, "url: bad percent-encoding in the path");
    if (!encoding_ok(u->query, true))
        return err_set(e, EINVAL,
                       "url: bad percent-encoding in the query (a '%%' itself is '%%25')");
    return 0;
}

int url_parse(struct url *u, struct str text, struct err *e)
{
    struct pieces found = {.port = 0};
    char *at;

    if (parse_pieces(&found, text, e) < 0)
        return -1;
    at = malloc(text.len + 8); /* six NULs; separators and encoding only shrink */
    if (!at)
        return err_set(e, ENOMEM, "url: out of memory");
    u->store = at;
    u->scheme = store_add(&at, found.scheme, true);
    u->has_user = found.has_user;
    u->user = store_add_decoded(&at, found.user);
    u->has_password = found.has_password;
    u->password = store_add_decoded(&at, found.password);
    u->host = store_add(&at, found.host, true);
    u->ipv6 = found.ipv6;
    u->port = found.port;
    u->path = store_add(&at, found.path, false);
    u->query = store_add(&at, found.query, false);
    return 0;
}

void url_release(struct url *u)
{
    if (u->store) {
        explicit_bzero(u->store, (size_t)(u->query.p + u->query.len - u->store));
        free(u->store);
    }
    *u = (struct url){.store = NULL};
}

/* Splits "name=value" at its first '='. False when there is none. */
static bool split_pair(struct str pair, struct str *name, struct str *value)
{
    ptrdiff_t eq = str_find(pair, '=');

    *name = eq < 0 ? pair : str_head(pair, (size_t)eq);
    *value = eq < 0 ? str_skip(pair, pair.len) : str_skip(pair, (size_t)eq + 1);
    return eq >= 0;
}

int url_place(struct buf *out, const struct url *u)
{
    struct str path = u->path.len ? u->path : STR("/");

    if (buf_add_str(out, u->scheme) < 0 || buf_addf(out, "://") < 0 ||
        buf_add_str(out, u->host) < 0)
        return -1;
    return buf_add_str(out, path);
}

int url_decode(struct str raw, struct buf *out)
{
    while (raw.len) {
        int c = next_decoded(&raw);

        if (c < 0 || buf_add_ch(out, (char)c) < 0)
            return -1;
    }
    return 0;
}

bool url_is_label(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i], lower = (char)(c | 0x20);

        if (!(lower >= 'a' && lower <= 'z') && !(c >= '0' && c <= '9') && !memchr("-._~:", c, 5))
            return false;
    }
    return s.len && s.len <= HOSTNAME_MAX;
}

int url_query_next(struct str *rest, struct str *key, struct buf *value)
{
    struct str pair, raw;

    buf_clear(value);
    do
        if (!str_cut(rest, '&', &pair))
            return 0;
    while (pair.len == 0);
    (void)split_pair(pair, key, &raw); /* "name" is "name=" */
    while (raw.len) {
        bool plus = raw.p[0] == '+';
        int c = next_decoded(&raw);

        if (c < 0 || buf_add_ch(value, plus ? ' ' : (char)c) < 0)
            return -1;
    }
    return 1;
}

static int mask_pair(struct buf *out, struct str pair, url_is_public *is_public, const void *arg)
{
    struct str name, value;
    bool has_value = split_pair(pair, &name, &value);

    if (pair.len == 0 || is_public(arg, name))
        return buf_add_str(out, pair);
    while (value.len && value.p[0] == '=')
        value = str_skip(value, 1);
    /* "?dG9rZW4=" is a bare token, not an option without a value. */
    if (!has_value || value.len == 0)
        return buf_add_str(out, STR("***"));
    return buf_add_str(out, name) < 0 || buf_add_str(out, STR("=***")) < 0 ? -1 : 0;
}

static bool is_token(struct str segment)
{
    bool letter = false, digit = false;

    for (size_t i = 0; i < segment.len; i++) {
        letter = letter || is_alpha(segment.p[i]);
        digit = digit || is_digit(segment.p[i]);
    }
    return segment.len >= TOKEN_MIN && letter && digit;
}

static int mask_path(struct buf *out, struct str path)
{
    while (path.len) {
        struct str segment;

        path = str_skip(path, 1); /* the leading '/' */
        segment = cut_before(&path, "/");
        if (buf_add_ch(out, '/') < 0 ||
            buf_add_str(out, is_token(segment) ? STR("***") : segment) < 0)
            return -1;
    }
    return 0;
}

int url_mask(struct buf *out, const struct url *u, url_is_public *is_public, const void *arg)
{
    struct str rest = u->query, pair;
    char sep = '?';

    if (buf_add_str(out, u->scheme) < 0 || buf_add_str(out, STR("://")) < 0 ||
        (u->has_user && buf_add_str(out, STR("***@")) < 0) ||
        (u->ipv6 && buf_add_ch(out, '[') < 0) || buf_add_str(out, u->host) < 0 ||
        (u->ipv6 && buf_add_ch(out, ']') < 0) || (u->port && buf_addf(out, ":%u", u->port) < 0) ||
        mask_path(out, u->path) < 0)
        return -1;
    while (str_cut(&rest, '&', &pair)) {
        if (buf_add_ch(out, sep) < 0 || mask_pair(out, pair, is_public, arg) < 0)
            return -1;
        sep = '&';
    }
    return 0;
}

int url_mask_text(struct buf *out, struct str text)
{
    struct str s = text, scheme, host;
    bool clean;

    if (!cut_scheme(&s, &scheme) || scheme.len > SCHEME_SHOWN_MAX)
        return buf_add_str(out, STR("***"));
    /* With an '@' anywhere, what looks like the host may be part of a password. */
    clean = str_find(text, '@') < 0;
    for (host = s, s.len = 0; s.len < host.len && !strchr("/?#:", host.p[s.len]); s.len++)
        clean = clean && (is_alpha(host.p[s.len]) || is_digit(host.p[s.len]) ||
                          strchr("-._", host.p[s.len]));
    host.len = s.len;
    if (buf_add_str(out, scheme) < 0 || buf_add_str(out, STR("://")) < 0)
        return -1;
    return buf_add_str(out, clean && host.len <= HOST_MAX ? host : STR("***"));
}
