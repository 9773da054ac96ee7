/*
 * The one URL parser (RFC 3986, the part that drains use). The egress policy and the connection
 * both use it, so that they cannot disagree about the host. Refused: control characters, spaces,
 * backslash, bytes >= 0x80, an '@' inside userinfo, empty or over-long hosts, IPv6 zones, ports
 * outside 1..65535, bad percent-encoding, over URL_MAX bytes.
 */
#ifndef BASE_URL_H
#define BASE_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct url {
    char *store;         /* owned: the bytes that all views below point into */
    struct str scheme;   /* lower-cased */
    bool has_user;       /* there was a userinfo part */
    struct str user;     /* percent-decoded */
    bool has_password;   /* there was a ':' in it */
    struct str password; /* percent-decoded */
    struct str host;  /* lower-cased; an IPv6 literal without its brackets; empty for scheme:// */
    bool ipv6;        /* host is an IPv6 literal */
    uint16_t port;    /* 0 = not given */
    struct str path;  /* as given, still encoded; "" when there is none */
    struct str query; /* as given, without '?' */
};

/* Copies what it needs from <text>. A fragment is dropped. The error never quotes userinfo or
 * query. */
int url_parse(struct url *u, struct str text, struct err *e);
/* Zeroes the secrets, then frees. A zeroed <u> is fine. */
void url_release(struct url *u);

/* Appends scheme, host and path. Two URLs with equal results have the same destination. The path is
 * not masked, so do not show it to people. */
int url_place(struct buf *out, const struct url *u);

/* Appends <raw>, percent-decoded ('+' is itself). -1 = bad encoding or longer than <out>'s cap. */
int url_decode(struct str raw, struct buf *out);

/* True for 1 to HOSTNAME_MAX bytes of letters, digits and "-._~:", which no URL has to encode. */
bool url_is_label(struct str s);

/* Cuts the next key=value off <*rest> (start with u->query). <key> stays encoded; the value is
 * percent-decoded ('+' is a space) into <value>, which is cleared first. 1 = got one, 0 = end, -1 =
 * bad encoding or longer than <value>'s cap. */
int url_query_next(struct str *rest, struct str *key, struct buf *value);

/* Whether the value of the query parameter <name> may be shown. */
typedef bool url_is_public(const void *arg, struct str name);
/* Appends the URL with its secrets masked: user:password becomes "***@", and every query value
 * "***" unless <is_public>. This is the only function that prints URLs. */
int url_mask(struct buf *out, const struct url *u, url_is_public *is_public, const void *arg);
/* The same for text that did not parse: scheme and host at most, everything doubtful masked. */
int url_mask_text(struct buf *out, struct str text);

#endif
