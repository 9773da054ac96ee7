/*
 * The query of a drain's URL: which option each parameter is (spec_shared.c, or the member's own
 * table), and what all together can get wrong.
 *
 * An http server has a query of its own, so http and https hand on what is not ours; but a name one
 * slip away from one of ours is refused there too, because "?conections=4" sent to the server would
 * be a setting silently lost. Every other scheme refuses what it does not know.
 *
 * Errors name the option, never its value: a value may hold a secret that somebody put in the wrong
 * place.
 */
#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "drains/spec/spec_internal.h"

#define NAME_SHOWN_MAX 32
#define NEAR_MIN 5 /* shorter names are too near to too many words */

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

/* One letter missing, too many, another one, or two swapped; or the same in other case. */
static bool is_near(struct str a, struct str b)
{
    size_t i = 0;

    if (str_ieq(a, b))
        return true;
    if (a.len > b.len)
        return is_near(b, a);
    if (b.len - a.len > 1)
        return false;
    while (i < a.len && a.p[i] == b.p[i])
        i++;
    a = str_skip(a, i);
    b = str_skip(b, i);
    if (a.len < b.len)
        return str_eq(a, str_skip(b, 1));
    if (str_eq(str_skip(a, 1), str_skip(b, 1)))
        return true;
    return a.len >= 2 && a.p[0] == b.p[1] && a.p[1] == b.p[0] &&
           str_eq(str_skip(a, 2), str_skip(b, 2));
}

static const struct drain_option *option_at(const struct drain_member *const *all, unsigned i)
{
    const struct drain_member *whose;

    return drain_members_option(all, i, &whose);
}

/* Another scheme's option, in the query of a server: its own parameter, which may well be called
 * "key" or "token". But "framing" or "batch" would be a setting silently lost. */
static bool is_servers(const struct drain_member *const *all, unsigned i,
                       const struct drain_scheme *scheme)
{
    return scheme->flags & DRAIN_QUERY && !drain_members_have(all, i, scheme) &&
           !option_at(all, i)->ours;
}

/* Which option <pair> sets for <scheme>, or the one of that name for other schemes; -1 = none, or
 * the server's. What is the member's own goes before what all have. */
static int find(const struct drain_member *const *all, struct str pair,
                const struct drain_scheme *scheme)
{
    struct str name = pair_name(pair);
    const struct drain_option *o;
    int found = -1;

    for (unsigned i = 0; (o = option_at(all, i)); i++)
        if (str_eq(name, str_of(o->name)) && (found < 0 || drain_members_have(all, i, scheme)))
            found = (int)i;
    if (found < 0 || is_servers(all, (unsigned)found, scheme))
        return -1;
    /* "?key=" of a webhook is none of a certificate, which begins with "-----" or is a file's path
     */
    if (option_at(all, (unsigned)found)->set == tls_set_key && scheme->flags & DRAIN_QUERY &&
        !str_starts(str_skip(pair, name.len), STR("=LS0tLS1")) &&
        !str_starts(str_skip(pair, name.len), STR("=/")))
        return -1;
    return found;
}

static const struct drain_option *find_near(const struct drain_member *const *all, struct str name,
                                            const struct drain_scheme *scheme)
{
    const struct drain_option *o;

    for (unsigned i = 0; (o = option_at(all, i)); i++)
        if (strlen(o->name) >= NEAR_MIN && drain_members_have(all, i, scheme) &&
            is_near(name, str_of(o->name)))
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

/* A parameter that is not one of our options. */
static int take_unknown(struct drain_spec *s, const struct drain_member *const *all,
                        struct str pair, struct buf *passed, struct err *e)
{
    const struct drain_option *near = find_near(all, pair_name(pair), s->scheme);

    if (drain_option_reserved(s, pair))
        return err_set(e, EINVAL, "parameter '%.*s' is logtrain's own for this scheme",
                       STR_ARG(pair_name(pair)));
    if (near)
        return err_set(e, EINVAL, "unknown option '%.*s', did you mean '%s'",
                       STR_ARG(drain_option_shown(pair)), near->name);
    if (!(s->scheme->flags & DRAIN_QUERY))
        return err_set(e, EINVAL, "unknown option '%.*s'", STR_ARG(drain_option_shown(pair)));
    if ((passed->len && buf_add_ch(passed, '&') < 0) || buf_add_str(passed, pair) < 0)
        return err_set(e, E2BIG, "query is too long");
    return 0;
}

static int take_option(struct drain_spec *s, const struct drain_member *const *all, unsigned i,
                       struct str pair, uint64_t *seen, struct err *e)
{
    const struct drain_member *whose;
    const struct drain_option *o = drain_members_option(all, i, &whose);
    struct buf value = BUF_INIT(URL_MAX);
    struct str rest = pair, name;
    uint64_t bit = 1ULL << i;
    int rc;

    if (!drain_members_have(all, i, s->scheme))
        return err_set(e, EINVAL, "option '%s' is not for this scheme", o->name);
    if (*seen & bit && !o->many)
        return err_set(e, EINVAL, "option '%s' is given twice", o->name);
    *seen |= bit;
    if (url_query_next(&rest, &name, &value) != 1)
        rc = err_set(e, EINVAL, "option '%s' is badly encoded", o->name);
    else
        rc = drain_option_set(o, s, whose ? s->own : s, buf_str(&value), e);
    buf_release(&value);
    return rc;
}

/* What only all options together can get wrong. */
static int settle(struct drain_spec *s, struct err *e)
{
    if (s->batch == BATCH_ARRAY && s->format.format != FORMAT_JSON)
        return err_set(e, EINVAL, "option 'batch': array goes with format=json only");
    if (s->batch == BATCH_RECORD)
        s->linger_ms = 0; /* nothing to wait for */
    if (s->batch == BATCH_NDJSON)
        s->format.framing = FRAMING_LF;
    else if (s->batch == BATCH_ARRAY)
        s->format.framing = FRAMING_ARRAY;
    if (s->group && s->format.format != FORMAT_GELF)
        return err_set(e, EINVAL, "option 'group' goes with format=gelf only");
    s->format.group = s->group ? str_of(s->group) : STR("");
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
    uint64_t seen = 0;

    while (str_cut(&rest, '&', &pair)) {
        int i, rc;

        if (pair.len == 0)
            continue;
        i = find(all, pair, s->scheme);
        rc = i < 0 ? take_unknown(s, all, pair, passed, e)
                   : take_option(s, all, (unsigned)i, pair, &seen, e);
        if (rc < 0)
            return -1;
    }
    return settle(s, e);
}
