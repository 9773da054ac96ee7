/*
 * From a URL's text to a checked, immutable spec. Called on the control thread for every route, and
 * by --check; workers only take references. A spec that exists can be used: whatever can be checked
 * without I/O has been checked.
 *
 * Invariant: of the URL, an error text holds only the scheme and the names of options: never
 * userinfo, nor a value of the query. This file does not know the options (spec_options.c) and
 * connects nowhere.
 */
#include "drains/spec/spec.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "drains/spec/member.h"
#include "drains/spec/spec_internal.h"

#define SCHEME_SHOWN_MAX 32      /* a longer one is no scheme and may be a secret */
#define MASKED_MAX (4 * URL_MAX) /* "***" for each one-letter value */

static const struct drain_member *member_of(const struct drain_spec *s)
{
    return s->scheme->member;
}

static int unknown_scheme(const struct drain_member *const *all, struct str name, struct err *e)
{
    struct buf meant = BUF_INIT(sizeof(e->text));

    if (name.len > SCHEME_SHOWN_MAX)
        return err_set(e, EINVAL, "unknown scheme");
    if (drain_members_meant(all, name, &meant) < 0)
        buf_clear(&meant);
    (void)err_set(e, EINVAL, "unknown scheme '%.*s'%s", STR_ARG(name), buf_cstr(&meant));
    buf_release(&meant);
    return -1;
}

static int find_scheme(struct drain_spec *s, const struct drain_member *const *all, struct err *e)
{
    s->scheme = drain_members_find(all, s->url.scheme);
    if (!s->scheme)
        return unknown_scheme(all, s->url.scheme, e);
    if (member_of(s)->own_size)
        s->own = xcalloc(1, member_of(s)->own_size);
    return 0;
}

static int check_place(struct drain_spec *s, struct err *e)
{
    const struct url *u = &s->url;
    unsigned flags = s->scheme->flags;

    if (flags & DRAIN_NO_HOST && u->port)
        return err_set(e, EINVAL, "takes no port");
    if (!(flags & DRAIN_NO_HOST) && u->host.len == 0)
        return err_set(e, EINVAL, "no host");
    s->port = u->port ? u->port : s->scheme->port;
    if (u->has_user && !(flags & DRAIN_LOGIN))
        return err_set(e, EINVAL, "takes no user and password");
    if (u->path.len && !str_eq(u->path, STR("/")) && !(flags & DRAIN_PATH))
        return err_set(e, EINVAL, "takes no path");
    return 0;
}

/* For url_mask(). A parameter that is no option of the scheme may be a secret of the server. */
static bool is_public(const void *scheme, struct str name)
{
    bool own;
    const struct drain_option *o = drain_scheme_option(scheme, name, &own);

    return o && o->is_public;
}

/* Drains that differ only in what is masked share a name, so that the name tells nothing about a
 * password. */
static int make_name(struct drain_spec *s, struct err *e)
{
    const struct url *u = &s->url;
    struct buf masked = BUF_INIT(MASKED_MAX), name = BUF_INIT(URL_MAX);
    int rc = url_mask(&masked, u, is_public, s->scheme);

    if (rc == 0 && s->owner) /* an operator's drain with the same URL is a different drain */
        rc = buf_add_ch(&masked, (char)DRAIN_OF_OWNER);
    if (rc == 0)
        rc = buf_addf(&name, "%s://%s%.*s%s", s->scheme->name, u->ipv6 ? "[" : "", STR_ARG(u->host),
                      u->ipv6 ? "]" : "");
    if (rc == 0 && s->port)
        rc = buf_addf(&name, ":%u", s->port);
    if (rc == 0)
        rc = buf_addf(&name, "#%06x", (unsigned)(hash_stable(masked.p, masked.len) & 0xffffff));
    if (rc == 0)
        s->name = str_dup(buf_str(&name));
    else
        (void)err_set(e, ENOMEM, "out of memory");
    buf_release(&masked);
    buf_release(&name);
    return rc;
}

static int make_target(struct drain_spec *s, struct str passed, struct err *e)
{
    struct buf target = BUF_INIT(2 * URL_MAX);
    struct str path = s->url.path.len ? s->url.path : STR("/");
    int rc;

    if (s->scheme->path && str_eq(path, STR("/")))
        path = str_of(s->scheme->path);
    rc = member_of(s)->add_target ? member_of(s)->add_target(s, path, &target)
                                  : buf_add_str(&target, path);
    if (rc == 0 && passed.len) {
        char sep = str_find(buf_str(&target), '?') < 0 ? '?' : '&';

        rc = buf_add_ch(&target, sep) < 0 || buf_add_str(&target, passed) < 0 ? -1 : 0;
    }
    if (rc == 0)
        s->target = str_dup(buf_str(&target));
    else
        (void)err_set(e, ENOMEM, "out of memory");
    if (target.p)
        explicit_bzero(target.p, target.len);
    buf_release(&target);
    return rc;
}

static int fill(struct drain_spec *s, const struct drain_member *const *all, struct err *e)
{
    struct buf passed = BUF_INIT(URL_MAX);
    int rc;

    drain_options_default(s);
    rc = check_place(s, e);
    if (rc == 0)
        rc = drain_options_parse(s, all, &passed, e);
    if (rc == 0)
        rc = make_target(s, buf_str(&passed), e);
    if (rc == 0)
        rc = make_name(s, e);
    if (rc < 0)
        (void)err_wrap(e, "%s", s->scheme->name);
    if (passed.p)
        explicit_bzero(passed.p, passed.len);
    buf_release(&passed);
    return rc;
}

static int check_owner(const struct drain_spec *s, struct str text, struct err *e)
{
    if (text.len > OWNER_URL_MAX)
        return err_set(e, E2BIG, "url: longer than %d bytes", OWNER_URL_MAX);
    if (s->scheme->flags & DRAIN_DEV_ONLY)
        return err_set(e, EPERM, "scheme '%s' is for operators only", s->scheme->name);
    return 0;
}

struct drain_spec *drain_spec_create_of(const struct drain_member *const *all, struct str text,
                                        bool owner, struct err *e)
{
    struct drain_spec *s = xcalloc(1, sizeof(*s));

    atomic_init(&s->refs, 1);
    s->owner = owner;
    if (url_parse(&s->url, text, e) < 0 || find_scheme(s, all, e) < 0 ||
        (owner && check_owner(s, text, e) < 0) || fill(s, all, e) < 0) {
        drain_spec_unref(s);
        return NULL;
    }
    s->id = xmalloc(text.len + 2);
    s->id[0] = owner ? DRAIN_OF_OWNER : DRAIN_OF_OPERATOR;
    memcpy(s->id + 1, text.p, text.len);
    s->id[text.len + 1] = '\0';
    s->text = s->id + 1;
    return s;
}

struct drain_place drain_spec_place(const struct drain_spec *s, const uint64_t key[2])
{
    struct drain_place p = {.port = s->port, .owner = s->owner};
    struct buf text = BUF_INIT(URL_MAX + SCHEME_SHOWN_MAX);

    (void)url_place(&text, &s->url); /* it always fits: it is a part of the URL */
    p.drain = hash_keyed(key, s->text, strlen(s->text));
    p.place = hash_keyed(key, text.p, text.len);
    buf_release(&text);
    return p;
}

bool drain_spec_addresses(const struct drain_spec *s)
{
    return member_of(s)->addresses && member_of(s)->addresses(s);
}

void drain_spec_use_names(struct drain_spec *s)
{
    if (!drain_spec_addresses(s))
        return;
    s->names = s->format.index_name = true;
    s->id[0] = DRAIN_OF_PATTERN;
}

struct drain_spec *drain_spec_ref(struct drain_spec *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void drain_spec_unref(struct drain_spec *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    drain_options_release(drain_options_shared(), s, s);
    if (s->scheme)
        drain_options_release(member_of(s)->options, s, s->own);
    if (s->own && member_of(s)->release)
        member_of(s)->release(s->own);
    free(s->own);
    url_release(&s->url);
    spec_secret_free(s->id);
    spec_secret_free(s->target);
    spec_secret_free(s->headers);
    sieve_free(s->sieve);
    free(s->name);
    free(s->ca);
    free(s->client_cert);
    spec_secret_free(s->client_key);
    free(s->servername);
    free(s);
}

void drain_spec_tls(const struct drain_spec *s, struct tls_options *out)
{
    *out = (struct tls_options){.insecure = s->insecure,
                                .ca = str_of(s->ca),
                                .cert = str_of(s->client_cert),
                                .key = str_of(s->client_key),
                                .servername = str_of(s->servername)};
}

const char *drain_batch_name(enum drain_batch b)
{
    switch (b) {
    case BATCH_RECORD:
        return "record";
    case BATCH_NDJSON:
        return "ndjson";
    case BATCH_ARRAY:
        return "array";
    case BATCH_STREAM:
        return "stream";
    case BATCH_MANY:
        return "many";
    }
    BUG("drain: no such batch: %d", (int)b);
}

/* ---- --check ---- */

int drain_spec_line(struct buf *out, const char *key, const char *fmt, ...)
{
    va_list ap;
    int rc = buf_addf(out, "%-12s ", key);

    va_start(ap, fmt);
    if (rc == 0)
        rc = buf_vaddf(out, fmt, ap);
    va_end(ap);
    return rc < 0 ? -1 : buf_add_ch(out, '\n');
}

static const char *tls_text(const struct drain_spec *s)
{
    if (!(s->scheme->flags & DRAIN_TLS))
        return s->insecure || s->ca ? "no (insecure= and ca= have no effect)" : "no";
    if (s->insecure)
        return "yes, certificate NOT verified (insecure=true)";
    return s->ca ? "yes, verified against the system's roots and ca="
                 : "yes, verified against the system's roots";
}

static const char *framing_text(enum framing f)
{
    switch (f) {
    case FRAMING_NONE:
        return "none, one record is one message";
    case FRAMING_LF:
        return "lf, a line for each record";
    case FRAMING_OCTET:
        return "octet, the length before each record";
    case FRAMING_ARRAY:
        return "array, one JSON array";
    case FRAMING_NUL:
        return "nul, a NUL after each record";
    case FRAMING_STREAMS:
        return "streams, the records of each stream together";
    }
    BUG("drain: no such framing: %d", (int)f);
}

/* The member's own lines of <section>. */
static int describe_own(const struct drain_spec *s, enum drain_section section, struct buf *out)
{
    for (const struct drain_option *o = member_of(s)->options; o && o->name; o++)
        if (o->shown == section && drain_option_describe(o, s, out) < 0)
            return -1;
    return member_of(s)->describe ? member_of(s)->describe(s, section, out) : 0;
}

static int describe_place(const struct drain_spec *s, struct buf *out)
{
    int rc = drain_spec_line(out, "scheme", "%s", s->scheme->name);

    if (rc == 0 && s->url.host.len)
        rc = drain_spec_line(out, "host", "%.*s", STR_ARG(s->url.host));
    if (rc == 0 && s->port)
        rc = drain_spec_line(out, "port", "%u%s", s->port, s->url.port ? "" : " (default)");
    if (rc == 0 && !(s->scheme->flags & (DRAIN_NO_HOST | DRAIN_UDP)))
        rc = drain_spec_line(out, "tls", "%s", tls_text(s));
    if (rc == 0 && s->servername)
        rc = drain_spec_line(out, "server name", "%s, verified and sent in place of the host",
                             s->servername);
    if (rc == 0 && s->client_cert)
        rc = drain_spec_line(out, "client", "shows a certificate of its own");
    if (rc == 0 && s->url.has_user)
        rc = drain_spec_line(out, "user", "given, sent %s",
                             member_of(s)->login ? member_of(s)->login(s) : http_login(s));
    if (rc == 0)
        rc = http_describe(s, out);
    return rc == 0 ? describe_own(s, SECTION_PLACE, out) : rc;
}

static int describe_format(const struct drain_spec *s, struct buf *out)
{
    int rc = drain_spec_line(out, "format", "%s%s", format_name(s->format.format),
                             s->format.sd ? ", with sd=true" : "");

    if (rc == 0)
        rc = drain_spec_line(out, "framing", "%s", framing_text(s->format.framing));
    if (rc == 0)
        rc = describe_own(s, SECTION_FORMAT, out);
    if (rc == 0 && s->format.max)
        rc = drain_spec_line(out, "max", "%zu bytes a record", s->format.max);
    if (rc == 0 && s->sieve)
        rc = drain_spec_line(out, "lines", "%s", sieve_text(s->sieve));
    return rc;
}

static int describe_sending(const struct drain_spec *s, struct buf *out)
{
    int rc = drain_spec_line(out, "batch", "%s", drain_batch_name(s->batch));

    if (rc == 0)
        rc = describe_own(s, SECTION_SENDING, out);
    if (rc == 0 && s->scheme->flags & DRAIN_REQUESTS) {
        if (s->batch != BATCH_RECORD)
            rc = drain_spec_line(out, "linger", "%llu ms", (unsigned long long)s->linger_ms);
        if (rc == 0)
            rc = drain_spec_line(out, "compression", "%s", s->gzip ? "gzip" : "none");
    }
    if (rc == 0 && !(s->scheme->flags & DRAIN_REQUESTS) && s->connections >= WORKERS_MAX)
        rc = drain_spec_line(out, "connections", "one for each worker");
    else if (rc == 0)
        rc = drain_spec_line(out, "connections", "%u %s", s->connections,
                             s->scheme->flags & DRAIN_REQUESTS ? "for each worker" : "in all");
    if (rc == 0 && s->since_start)
        rc = drain_spec_line(out, "since", "a new drain begins with all that the node still has");
    if (rc == 0 && s->since_ms)
        rc = drain_spec_line(out, "since", "a new drain begins with the lines of %llu s ago",
                             (unsigned long long)(s->since_ms / 1000));
    if (rc == 0)
        rc = drain_spec_line(out, "timeout", "%llu ms", (unsigned long long)s->timeout_ms);
    return rc == 0 ? drain_spec_line(out, "promise", "%s", drain_promise_text(s->scheme->promise))
                   : rc;
}

/* Lists the names of the parameters that are passed on to the server. */
static int describe_passed(const struct drain_spec *s, struct buf *out)
{
    struct str rest = str_of(s->target), path, pair;
    char key[32];
    const char *sep = key;

    (void)snprintf(key, sizeof(key), "%-12s ", "passed on");
    (void)str_cut(&rest, '?', &path); /* the target is never empty */
    while (str_cut(&rest, '&', &pair)) {
        if (drain_option_reserved(s, pair)) /* what we set ourselves */
            continue;
        if (buf_addf(out, "%s%.*s", sep, STR_ARG(drain_option_shown(pair))) < 0)
            return -1;
        sep = ", ";
    }
    return sep == key ? 0 : buf_addf(out, " (to the server)\n");
}

int drain_spec_describe(const struct drain_spec *s, struct buf *out)
{
    if (describe_place(s, out) < 0 || describe_format(s, out) < 0 || describe_sending(s, out) < 0 ||
        describe_passed(s, out) < 0)
        return -1;
    if (buf_addf(out, "%-12s ", "url") < 0 || url_mask(out, &s->url, is_public, s->scheme) < 0)
        return -1;
    return buf_add_ch(out, '\n');
}
