/*
 * Parses the query of a drain's URL: finds the option for each parameter (spec_shared.c, or the
 * member's own table), and checks what depends on several options.
 *
 * An HTTP server has query parameters of its own, so such schemes pass on what is no option. But a
 * setting is never lost silently: a name that is one edit away from an option ("?conections=4") is
 * refused, and so is an option of another scheme. The exception: names that servers use, too
 * (drain_option.common), with schemes that work with any server. All other schemes refuse what they
 * do not know.
 *
 * Errors name the option, never its value: a value may be a secret that was put in the wrong place.
 */
#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "drains/spec/spec_internal.h"

#define NAME_SHOWN_MAX 32
#define SCHEMES_SHOWN 100 /* bytes of their names in an error */
#define NEAR_MIN 5        /* shorter names are one edit away from too many words */

void drain_options_default(struct drain_spec *s)
{
    bool requests = s->scheme->flags & DRAIN_REQUESTS, many = s->scheme->flags & DRAIN_MANY;

    s->format.format = s->scheme->format;
    s->format.framing = s->scheme->framing;
    s->batch = many ? BATCH_MANY : requests ? BATCH_RECORD : BATCH_STREAM;
    s->connections = many ? CONNECTIONS_MANY : requests ? CONNECTIONS_HTTP : WORKERS_MAX;
    s->linger_ms = requests ? LINGER_HTTP_MS : 0;
    s->timeout_ms = DRAIN_TIMEOUT_MS;
    s->utf8 = UTF8_UNSET;
    if (s->scheme->member->set_defaults)
        s->scheme->member->set_defaults(s);
}

/* ---- names ---- */

static struct str pair_name(struct str pair)
{
    ptrdiff_t eq = str_find(pair, '=');

    return eq < 0 ? pair : str_head(pair, (size_t)eq);
}

struct str drain_option_shown(struct str pair)
{
    struct str name = pair_name(pair), value = str_skip(pair, name.len);

    while (value.len && value.p[0] == '=')
        value = str_skip(value, 1);
    if (value.len == 0 || name.len == 0 || name.len > NAME_SHOWN_MAX)
        return STR("***");
    for (size_t i = 0; i < name.len; i++) {
        char c = name.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              strchr("-_.", c)))
            return STR("***");
    }
    return name;
}

/* Whether <pair> is a parameter of the server, although <o> has its name. */
static bool is_servers(const struct drain_scheme *scheme, const struct drain_option *o,
                       struct str pair)
{
    struct str value = str_skip(pair, pair_name(pair).len);

    if (!(scheme->flags & DRAIN_ANY_SERVER) || !o->common)
        return false;
    /* the "key" of a webhook, not of a certificate: that one is base64 of "-----", or a path */
    return o->set != tls_set_key ||
           !(str_starts(value, STR("=LS0tLS1")) || str_starts(value, STR("=/")));
}

/* The option that <pair> sets for <scheme>; NULL = none. */
static const struct drain_option *find(struct str pair, const struct drain_scheme *scheme,
                                       bool *own)
{
    const struct drain_option *o = drain_scheme_option(scheme, pair_name(pair), own);

    return o && !*own && is_servers(scheme, o, pair) ? NULL : o;
}

static const struct drain_option *find_near(const struct drain_option *table, struct str name,
                                            const struct drain_scheme *scheme)
{
    for (const struct drain_option *o = table; o && o->name; o++)
        if (strlen(o->name) >= NEAR_MIN && (!o->traits || scheme->flags & o->traits) &&
            str_is_near(name, str_of(o->name), 1))
            return o;
    return NULL;
}

/* ---- the query ---- */

bool drain_option_reserved(const struct drain_spec *s, struct str pair)
{
    struct str rest = str_of(s->scheme->member->reserved), one;

    while (str_cut(&rest, '|', &one))
        if (str_eq(pair_name(pair), one))
            return true;
    return false;
}

/* An option of other schemes. */
static int refuse_others(const struct drain_spec *s, const struct drain_member *const *all,
                         struct str name, struct err *e)
{
    struct buf schemes = BUF_INIT(SCHEMES_SHOWN);
    const char *more = "";

    if (drain_members_schemes_of(all, name, NULL, ", ", &schemes) < 0)
        more = ", …";
    if (s->scheme->flags & DRAIN_QUERY)
        (void)err_set(e, EINVAL,
                      "option '%.*s' is not for this scheme, but for %s%s; to pass it on to the "
                      "server write '%%%02x%.*s'",
                      STR_ARG(name), buf_cstr(&schemes), more, (unsigned char)name.p[0],
                      STR_ARG(str_skip(name, 1)));
    else
        (void)err_set(e, EINVAL, "option '%.*s' is not for this scheme, but for %s%s",
                      STR_ARG(name), buf_cstr(&schemes), more);
    buf_release(&schemes);
    return -1;
}

/* Handles a parameter that is no option of the scheme. */
static int take_unknown(struct drain_spec *s, const struct drain_member *const *all,
                        struct str pair, struct buf *passed, struct err *e)
{
    struct str name = pair_name(pair);
    const struct drain_option *others = drain_members_any_option(all, name), *near;

    if (drain_option_reserved(s, pair))
        return err_set(e, EINVAL, "logtrain sets parameter '%.*s' itself for this scheme",
                       STR_ARG(name));
    if (others && !is_servers(s->scheme, others, pair))
        return refuse_others(s, all, name, e);
    near = find_near(s->scheme->member->options, name, s->scheme);
    if (!near)
        near = find_near(drain_options_shared(), name, s->scheme);
    if (near)
        return err_set(e, EINVAL, "unknown option '%.*s', did you mean '%s'",
                       STR_ARG(drain_option_shown(pair)), near->name);
    if (!(s->scheme->flags & DRAIN_QUERY))
        return err_set(e, EINVAL, "unknown option '%.*s'", STR_ARG(drain_option_shown(pair)));
    if ((passed->len && buf_add_ch(passed, '&') < 0) || buf_add_str(passed, pair) < 0)
        return err_set(e, E2BIG, "query is too long");
    return 0;
}

/* Whether an earlier parameter of the query sets <o>, too. */
static bool is_second(const struct drain_spec *s, struct str pair, const struct drain_option *o)
{
    struct str rest = s->url.query, earlier;
    bool own;

    while (str_cut(&rest, '&', &earlier) && earlier.p < pair.p)
        if (find(earlier, s->scheme, &own) == o)
            return true;
    return false;
}

static int take_option(struct drain_spec *s, const struct drain_option *o, bool own,
                       struct str pair, struct err *e)
{
    struct buf value = BUF_INIT(URL_MAX);
    struct str rest = pair, name;
    int rc;

    if (!o->many && is_second(s, pair, o))
        return err_set(e, EINVAL, "option '%s' is given twice", o->name);
    if (url_query_next(&rest, &name, &value) != 1)
        rc = err_set(e, EINVAL, "option '%s' is badly encoded", o->name);
    else
        rc = drain_option_set(o, s, own ? s->own : s, buf_str(&value), e);
    buf_release(&value);
    return rc;
}

/* Checks what depends on several options. */
static int settle(struct drain_spec *s, struct err *e)
{
    if (s->batch == BATCH_ARRAY && s->format.format != FORMAT_JSON)
        return err_set(e, EINVAL, "option 'batch': array needs format=json");
    if (s->batch == BATCH_RECORD)
        s->linger_ms = 0; /* there is nothing to wait for */
    if (s->batch == BATCH_NDJSON)
        s->format.framing = FRAMING_LF;
    else if (s->batch == BATCH_ARRAY)
        s->format.framing = FRAMING_ARRAY;
    if (s->format.group.p && s->format.format != FORMAT_GELF)
        return err_set(e, EINVAL, "option 'group' needs format=gelf");
    if (s->gzip && !(s->scheme->flags & DRAIN_GZIP))
        return err_set(e, EINVAL, "option 'compression': gzip is not for this scheme");
    if (tls_settle(s, e) < 0 || http_settle(s, e) < 0)
        return -1;
    if (s->scheme->member->settle && s->scheme->member->settle(s, e) < 0)
        return -1;
    if (s->utf8 == UTF8_UNSET)
        s->utf8 = UTF8_KEEP;
    return 0;
}

int drain_options_parse(struct drain_spec *s, const struct drain_member *const *all,
                        struct buf *passed, struct err *e)
{
    struct str rest = s->url.query, pair;

    while (str_cut(&rest, '&', &pair)) {
        const struct drain_option *o;
        bool own;
        int rc;

        if (pair.len == 0)
            continue;
        o = find(pair, s->scheme, &own);
        rc = o ? take_option(s, o, own, pair, e) : take_unknown(s, all, pair, passed, e);
        if (rc < 0)
            return -1;
    }
    return settle(s, e);
}
