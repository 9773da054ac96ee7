/*
 * The options of a drain's URL that are not a member's own, as one table, and the parser of all:
 * --help, docs/drains.md and its test follow the same tables.
 *
 * An http server has a query of its own, so http and https hand on what is not ours; but a name one
 * slip away from one of ours is refused there too, because "?conections=4" sent to the server would
 * be a setting silently lost. Every other scheme refuses what it does not know.
 *
 * Errors name the option, never its value: a value may hold a secret that somebody put in the wrong
 * place.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "drains/spec_internal.h"

#define NAME_SHOWN_MAX 32
#define GROUP_MAX 64
#define SINCE_MAX_DAYS 365
#define NEAR_MIN 5 /* shorter names are too near to too many words */

/* ---- values that are not read by their type alone ---- */

static int set_format(struct drain_spec *s, struct str v, struct err *e)
{
    enum format f = format_parse(v);

    if (s->scheme->flags & DRAIN_ONE_FORMAT && !format_is_offered(s->scheme->format))
        return err_set(e, EINVAL, "option 'format' is not for this scheme");
    if (s->scheme->flags & DRAIN_ONE_FORMAT && f != s->scheme->format)
        return err_set(e, EINVAL, "option 'format' must be %s for this scheme",
                       format_name(s->scheme->format));
    if (!format_is_offered(f))
        return err_set(e, EINVAL, "option 'format' must be rfc5424, json, gelf or raw");
    s->format.format = f;
    return 0;
}

static int set_since(struct drain_spec *s, struct str v, struct err *e)
{
    uint64_t days;

    s->since_start = str_eq(v, STR("start"));
    if (s->since_start)
        return 0;
    if (str_ends(v, STR("d"))) {
        if (str_to_u64(str_head(v, v.len - 1), SINCE_MAX_DAYS, &days) && days > 0) {
            s->since_ms = days * 24 * 60 * 60 * 1000;
            return 0;
        }
    } else if (str_to_ms(v, SINCE_MAX_DAYS * 24ULL * 60 * 60 * 1000, &s->since_ms) &&
               s->since_ms >= 1000) {
        return 0;
    }
    return err_set(e, EINVAL, "option 'since' must be start, or a duration from 1s to %dd",
                   SINCE_MAX_DAYS);
}

static int set_max(struct drain_spec *s, struct str v, struct err *e)
{
    bool udp = s->scheme->flags & DRAIN_UDP;
    uint64_t n;

    if (!str_to_size(v, udp ? UDP_MAX_LIMIT : MAX_LINE_LIMIT, &n) || n < RECORD_CUT_MIN)
        return err_set(e, EINVAL, "option 'max' must be a size from %d to %s", RECORD_CUT_MIN,
                       udp ? "65507" : "16m");
    s->format.max = (size_t)n;
    return 0;
}

static int set_framing(struct drain_spec *s, struct str v, struct err *e)
{
    if (str_eq(v, STR("lf")))
        s->format.framing = FRAMING_LF;
    else if (str_eq(v, STR("octet")))
        s->format.framing = FRAMING_OCTET;
    else
        return err_set(e, EINVAL, "option 'framing' must be lf or octet");
    return 0;
}

/* ---- the table ---- */

#define FIELD(field) DRAIN_FIELD(drain_spec, field)

static const struct drain_option options[] = {
    {.name = "format",
     .values = "rfc5424|json|gelf|raw",
     .fallback = "rfc5424 for syslog, json for http, gelf for redis, raw for ws, stdout and null",
     .help = "how a record is written",
     .type = OPTION_OTHER,
     .set = set_format},
    {.name = "group",
     .values = "NAME",
     .fallback = "lr for redis, else none",
     .help = "`_group` of each record (format=gelf only)",
     .type = OPTION_TEXT,
     FIELD(group),
     .min = 1,
     .max = GROUP_MAX},
    {.name = "framing",
     .traits = DRAIN_FRAMING,
     .values = "lf|octet",
     .fallback = "lf for syslog+tcp and syslog+http, octet for syslog+tls",
     .help = "what separates records: LF after each (LF and NUL inside become a space), or the "
             "length before each (RFC 6587)",
     .type = OPTION_OTHER,
     .ours = true,
     .set = set_framing},
    {.name = "batch",
     .traits = DRAIN_BATCH,
     .values = "record|ndjson|array",
     .fallback = "record",
     .help = "what one request carries: one record; many, one per line; many as a JSON array",
     .type = OPTION_WORD,
     .ours = true,
     FIELD(batch)},
    {.name = "connections",
     .traits = DRAIN_CONNECTIONS,
     .values = "1..256",
     .fallback = "40 for http and gelf+http, 4 for es and syslog+http, else one for each worker",
     .help = "requests at once, for each worker; where there are no requests: connections in all, "
             "one for each worker at most",
     .type = OPTION_NUMBER,
     FIELD(connections),
     .min = 1,
     .max = CONNECTIONS_MAX},
    {.name = "linger",
     .traits = DRAIN_LINGER,
     .values = "DURATION 0..60s",
     .fallback = "0 for ws, else 100ms",
     .help = "how long a request or message that is not full waits for more (http: with "
             "batch=ndjson or array)",
     .type = OPTION_DURATION,
     FIELD(linger_ms),
     .max = LINGER_MAX_MS},
    {.name = "compression",
     .values = "none|gzip",
     .fallback = "gzip for ws, else none",
     .help = "gzip the body of each request, or each message (ws, and schemes that make requests)",
     .type = OPTION_WORD,
     FIELD(gzip)},
    {.name = "since",
     .values = "start|DURATION 1s..365d",
     .fallback = "none",
     .help = "where a drain that is new to a stream begins: with all that the node still has, or "
             "with the lines of so long ago; else with what comes",
     .type = OPTION_OTHER,
     .set = set_since},
    {.name = "timeout",
     .values = "DURATION 1s..300s",
     .fallback = "30s",
     .help = "for a connect, an answer, or a write that makes no progress",
     .type = OPTION_DURATION,
     FIELD(timeout_ms),
     .min = TIMEOUT_MIN_MS,
     .max = TIMEOUT_MAX_MS},
    {.name = "insecure",
     .values = "true|false",
     .fallback = "false",
     .help = "no certificate checks at all",
     .type = OPTION_BOOL,
     FIELD(insecure)},
    {.name = "ca",
     .values = "BASE64|FILE",
     .fallback = "none",
     .help = "certificates in PEM, as base64 or (for operators) in a file, trusted beside the "
             "system's roots",
     .type = OPTION_OTHER,
     .set = tls_set_ca},
    {.name = "cert",
     .values = "BASE64|FILE",
     .fallback = "none",
     .help = "a certificate to show (and its chain) in PEM, as base64 or (for operators) in a "
             "file; its key may be in it, too (schemes with TLS only)",
     .type = OPTION_OTHER,
     .set = tls_set_cert},
    {.name = "key",
     .traits = DRAIN_TLS,
     .values = "BASE64|FILE",
     .fallback = "none",
     .help = "the key of cert= in PEM, as base64 or (for operators) in a file",
     .type = OPTION_OTHER,
     .set = tls_set_key},
    {.name = "servername",
     .values = "NAME",
     .fallback = "the host",
     .help = "the name that the server's certificate must be for (schemes with TLS only)",
     .type = OPTION_OTHER,
     .set = tls_set_servername},
    {.name = "sd",
     .values = "true|false",
     .fallback = "false",
     .help = "adds namespace, pod, container, node and the record's id (as structured data in "
             "rfc5424)",
     .type = OPTION_BOOL,
     FIELD(format.sd)},
    {.name = "utf8",
     .traits = DRAIN_UTF8,
     .values = "valid|keep",
     .fallback = "valid for redis and ws, and for http with format=raw",
     .help = "whether U+FFFD takes the place of what is not UTF-8, or bytes go as they are (json "
             "and gelf are always valid)",
     .type = OPTION_WORD,
     FIELD(utf8)},
    {.name = "max",
     .values = "SIZE 480..16m (udp: 480..65507)",
     .fallback = "1024 for syslog over udp, 8192 for gelf+udp, else no limit",
     .help = "records are cut to so many bytes",
     .type = OPTION_OTHER,
     .set = set_max},
    {.name = NULL},
};

const struct drain_option *drain_options_shared(void)
{
    return options;
}

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

/* Another scheme's option, in the query of a server: its own parameter, which may well be called
 * "key" or "token". But "framing" or "batch" would be a setting silently lost. */
static bool is_servers(unsigned i, const struct drain_scheme *scheme)
{
    return scheme->flags & DRAIN_QUERY && !drain_option_is_for(i, scheme) &&
           !drain_option_at(i)->ours;
}

/* Which option <pair> sets for <scheme>, or the one of that name for other schemes; -1 = none, or
 * the server's. What is the member's own goes before what all have. */
static int find(struct str pair, const struct drain_scheme *scheme)
{
    struct str name = pair_name(pair);
    const struct drain_option *o;
    int found = -1;

    for (unsigned i = 0; (o = drain_option_at(i)); i++)
        if (str_eq(name, str_of(o->name)) && (found < 0 || drain_option_is_for(i, scheme)))
            found = (int)i;
    if (found < 0 || is_servers((unsigned)found, scheme))
        return -1;
    /* "?key=" of a webhook is none of a certificate, which begins with "-----" or is a file's path
     */
    if (drain_option_at((unsigned)found)->set == tls_set_key && scheme->flags & DRAIN_QUERY &&
        !str_starts(str_skip(pair, name.len), STR("=LS0tLS1")) &&
        !str_starts(str_skip(pair, name.len), STR("=/")))
        return -1;
    return found;
}

static const struct drain_option *find_near(struct str name, const struct drain_scheme *scheme)
{
    const struct drain_option *o;

    for (unsigned i = 0; (o = drain_option_at(i)); i++)
        if (strlen(o->name) >= NEAR_MIN && drain_option_is_for(i, scheme) &&
            is_near(name, str_of(o->name)))
            return o;
    return NULL;
}

/* ---- the query ---- */

/* A parameter that is not one of our options. */
static int take_unknown(struct drain_spec *s, struct str pair, struct buf *passed, struct err *e)
{
    const struct drain_option *near = find_near(pair_name(pair), s->scheme);
    const char *reserved = s->scheme->member->reserved;

    if (reserved && str_eq(pair_name(pair), str_of(reserved)))
        return err_set(e, EINVAL, "parameter '%s' is logtrain's own for this scheme", reserved);
    if (near)
        return err_set(e, EINVAL, "unknown option '%.*s', did you mean '%s'",
                       STR_ARG(drain_option_shown(pair)), near->name);
    if (!(s->scheme->flags & DRAIN_QUERY))
        return err_set(e, EINVAL, "unknown option '%.*s'", STR_ARG(drain_option_shown(pair)));
    if ((passed->len && buf_add_ch(passed, '&') < 0) || buf_add_str(passed, pair) < 0)
        return err_set(e, E2BIG, "query is too long");
    return 0;
}

static int take_option(struct drain_spec *s, unsigned i, struct str pair, uint64_t *seen,
                       struct err *e)
{
    const struct drain_member *whose;
    const struct drain_option *o = drain_option_get(i, &whose);
    struct buf value = BUF_INIT(URL_MAX);
    struct str rest = pair, name;
    uint64_t bit = 1ULL << i;
    int rc;

    if (!drain_option_is_for(i, s->scheme))
        return err_set(e, EINVAL, "option '%s' is not for this scheme", o->name);
    if (*seen & bit)
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
    if (tls_settle(s, e) < 0)
        return -1;
    if (s->scheme->member->settle && s->scheme->member->settle(s, e) < 0)
        return -1;
    if (s->utf8 == UTF8_UNSET)
        s->utf8 = UTF8_KEEP;
    return 0;
}

int drain_options_parse(struct drain_spec *s, struct buf *passed, struct err *e)
{
    struct str rest = s->url.query, pair;
    uint64_t seen = 0;

    while (str_cut(&rest, '&', &pair)) {
        int i, rc;

        if (pair.len == 0)
            continue;
        i = find(pair, s->scheme);
        rc = i < 0 ? take_unknown(s, pair, passed, e) : take_option(s, (unsigned)i, pair, &seen, e);
        if (rc < 0)
            return -1;
    }
    return settle(s, e);
}
