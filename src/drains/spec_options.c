/*
 * The options of a drain's URL, as one table: the parser, --help, docs/drains.md and its test all
 * follow it.
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
#include "drains/members.h"
#include "drains/spec_internal.h"

#define NAME_SHOWN_MAX 32
#define GROUP_MAX 64
#define SINCE_MAX_DAYS 365
#define NEAR_MIN 5 /* shorter names are too near to too many words */

/* ---- values ---- */

struct word {
    const char *name;
    int value;
};

/* The index of <v> among <words>, ended by a NULL name; or -1. */
static int word_find(const struct word *words, struct str v, int *out)
{
    for (; words->name; words++)
        if (str_eq(v, str_of(words->name))) {
            *out = words->value;
            return 0;
        }
    return -1;
}

static int set_bool(bool *out, const char *name, struct str v, struct err *e)
{
    static const struct word words[] = {{"true", true}, {"false", false}, {NULL, 0}};
    int value = 0;

    if (word_find(words, v, &value) < 0)
        return err_set(e, EINVAL, "option '%s' must be true or false", name);
    *out = value;
    return 0;
}

static int set_format(struct drain_spec *s, struct str v, struct err *e)
{
    enum format f = format_parse(v);

    if (s->scheme->flags & DRAIN_ELASTIC)
        return err_set(e, EINVAL, "option 'format' is not for this scheme");
    if (s->scheme->flags & DRAIN_GELF && f != FORMAT_GELF)
        return err_set(e, EINVAL, "option 'format' must be gelf for this scheme");
    if (f == FORMAT_NONE || f == FORMAT_ELASTIC)
        return err_set(e, EINVAL, "option 'format' must be rfc5424, json, gelf or raw");
    s->format.format = f;
    return 0;
}

static int set_compression(struct drain_spec *s, struct str v, struct err *e)
{
    static const struct word words[] = {{"none", false}, {"gzip", true}, {NULL, 0}};
    int value = 0;

    if (word_find(words, v, &value) < 0)
        return err_set(e, EINVAL, "option 'compression' must be none or gzip");
    if (value && !(s->scheme->flags & DRAIN_HTTP) && s->scheme->ops != &drain_ws_ops)
        return err_set(e, EINVAL, "option 'compression': gzip is not for this scheme");
    s->gzip = value;
    return 0;
}

static int set_insecure(struct drain_spec *s, struct str v, struct err *e)
{
    return set_bool(&s->insecure, "insecure", v, e);
}

static int set_utf8(struct drain_spec *s, struct str v, struct err *e)
{
    s->utf8_given = true;
    s->utf8_keep = str_eq(v, STR("keep"));
    if (!s->utf8_keep && !str_eq(v, STR("valid")))
        return err_set(e, EINVAL, "option 'utf8' must be valid or keep");
    return 0;
}

static int set_sd(struct drain_spec *s, struct str v, struct err *e)
{
    return set_bool(&s->format.sd, "sd", v, e);
}

static int set_timeout(struct drain_spec *s, struct str v, struct err *e)
{
    if (!str_to_ms(v, TIMEOUT_MAX_MS, &s->timeout_ms) || s->timeout_ms < TIMEOUT_MIN_MS)
        return err_set(e, EINVAL, "option 'timeout' must be a duration from 1s to 300s");
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

static int set_linger(struct drain_spec *s, struct str v, struct err *e)
{
    if (!str_to_ms(v, LINGER_MAX_MS, &s->linger_ms))
        return err_set(e, EINVAL, "option 'linger' must be a duration from 0 to 60s");
    return 0;
}

static int set_connections(struct drain_spec *s, struct str v, struct err *e)
{
    uint64_t n;

    if (!str_to_u64(v, CONNECTIONS_MAX, &n) || n == 0)
        return err_set(e, EINVAL, "option 'connections' must be a number from 1 to %d",
                       CONNECTIONS_MAX);
    s->connections = (unsigned)n;
    return 0;
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
    static const struct word words[] = {{"lf", FRAMING_LF}, {"octet", FRAMING_OCTET}, {NULL, 0}};
    int value = 0;

    if (word_find(words, v, &value) < 0)
        return err_set(e, EINVAL, "option 'framing' must be lf or octet");
    s->format.framing = (enum framing)value;
    return 0;
}

static int set_batch(struct drain_spec *s, struct str v, struct err *e)
{
    static const struct word words[] = {
        {"record", BATCH_RECORD}, {"ndjson", BATCH_NDJSON}, {"array", BATCH_ARRAY}, {NULL, 0}};
    int value = 0;

    if (word_find(words, v, &value) < 0)
        return err_set(e, EINVAL, "option 'batch' must be record, ndjson or array");
    s->batch = (enum drain_batch)value;
    return 0;
}

static int set_group(struct drain_spec *s, struct str v, struct err *e)
{
    if (v.len == 0 || v.len > GROUP_MAX)
        return err_set(e, EINVAL, "option 'group' must be a name of 1 to %d bytes", GROUP_MAX);
    s->group = str_dup(v);
    return 0;
}

/* It becomes part of a header. */
static int set_token(struct drain_spec *s, struct str v, struct err *e)
{
    for (size_t i = 0; i < v.len; i++)
        if (v.p[i] <= ' ' || v.p[i] > '~')
            v.len = 0;
    if (v.len == 0)
        return err_set(e, EINVAL, "option 'token' must be visible ascii");
    if (s->url.has_user)
        return err_set(e, EINVAL, "option 'token': there is a user, too");
    s->token = str_dup(v);
    return 0;
}

/* ---- the table ---- */

static const struct drain_option options[] = {
    {"format", "", "rfc5424|json|gelf|raw",
     "rfc5424 for syslog, json for http, gelf for redis, raw for ws, stdout and null",
     "how a record is written", set_format},
    {"group", "", "NAME", "lr for redis, else none", "`_group` of each record (format=gelf only)",
     set_group},
    {"mode", "redis", "publish|list|stream", "publish",
     "what becomes of a record: PUBLISH, RPUSH or XADD", redis_set_mode},
    {"key", "redis", "NAME", "the path, else each record's hostname",
     "where records go with mode=list or stream", redis_set_key},
    {"maxlen", "redis", "N", "none",
     "how many records the list or (approximately) the stream keeps", redis_set_maxlen},
    {"db", "redis", "0..65535", "0", "the database, chosen with SELECT", redis_set_db},
    {"token", "ws", "TOKEN", "none", "sent as a bearer token", set_token},
    {"framing", "syslog+tcp,syslog+tls,syslog+http", "lf|octet",
     "lf for syslog+tcp and syslog+http, octet for syslog+tls",
     "what separates records: LF after each (LF and NUL inside become a space), or the length "
     "before each (RFC 6587)",
     set_framing},
    {"batch", "http", "record|ndjson|array", "record",
     "what one request carries: one record; many, one per line; many as a JSON array", set_batch},
    {"connections",
     "http,es,elasticsearch,syslog+tcp,syslog+tls,syslog+http,gelf+tcp,gelf+tls,gelf+http",
     "1..256", "40 for http and gelf+http, 4 for es and syslog+http, else one for each worker",
     "requests at once, for each worker; where there are no requests: connections in all, one for "
     "each worker at most",
     set_connections},
    {"linger", "http,es,elasticsearch,syslog+http,ws", "DURATION 0..60s", "0 for ws, else 100ms",
     "how long a request or message that is not full waits for more (http: with batch=ndjson or "
     "array)",
     set_linger},
    {"index", "es,elasticsearch", "NAME", "the hostname, made legal",
     "where records go; %Y, %m and %d in it are of the record's time, in UTC", elastic_set_index},
    {"auth", "es,elasticsearch", "basic|apikey|bearer", "basic",
     "what user and password of the URL are: a login, an API key's id and key, or (the password "
     "alone) a token",
     elastic_set_auth},
    {"compression", "", "none|gzip", "gzip for ws, else none",
     "gzip the body of each request, or each message (ws, and schemes that make requests)",
     set_compression},
    {"since", "", "start|DURATION 1s..365d", "none",
     "where a drain that is new to a stream begins: with all that the node still has, or with the "
     "lines of so long ago; else with what comes",
     set_since},
    {"timeout", "", "DURATION 1s..300s", "30s",
     "for a connect, an answer, or a write that makes "
     "no progress",
     set_timeout},
    {"insecure", "", "true|false", "false", "no certificate checks at all", set_insecure},
    {"ca", "", "BASE64|FILE", "none",
     "certificates in PEM, as base64 or (for operators) in a file, trusted beside the system's "
     "roots",
     tls_set_ca},
    {"cert", "", "BASE64|FILE", "none",
     "a certificate to show (and its chain) in PEM, as base64 or (for operators) in a file; its "
     "key may be in it, too (schemes with TLS only)",
     tls_set_cert},
    {"key", "https,syslog+tls,syslog+https,es,elasticsearch,gelf+tls,gelf+https,wss", "BASE64|FILE",
     "none", "the key of cert= in PEM, as base64 or (for operators) in a file", tls_set_key},
    {"servername", "", "NAME", "the host",
     "the name that the server's certificate must be for (schemes with TLS only)",
     tls_set_servername},
    {"sd", "", "true|false", "false",
     "adds namespace, pod, container, node and the record's id (as structured data in rfc5424)",
     set_sd},
    {"utf8", "http,redis,ws", "valid|keep", "valid for redis and ws, and for http with format=raw",
     "whether U+FFFD takes the place of what is not UTF-8, or bytes go as they are (json and gelf "
     "are always valid)",
     set_utf8},
    {"max", "", "SIZE 480..16m (udp: 480..65507)",
     "1024 for syslog over udp, 8192 for gelf+udp, else no limit",
     "records are cut to so many bytes", set_max},
    {NULL, NULL, NULL, NULL, NULL, NULL},
};

const struct drain_option *drain_options(void)
{
    return options;
}

bool drain_option_is_for(const struct drain_option *o, const struct drain_scheme *scheme)
{
    struct str rest = str_of(o->schemes), prefix;

    if (rest.len == 0)
        return true;
    while (str_cut(&rest, ',', &prefix))
        if (str_starts(str_of(scheme->name), prefix))
            return true;
    return false;
}

void drain_options_default(struct drain_spec *s)
{
    bool http = s->scheme->flags & DRAIN_HTTP, many = s->scheme->flags & DRAIN_MANY;

    s->format.format = s->scheme->format;
    s->format.framing = s->scheme->framing;
    if (s->scheme->flags & DRAIN_UDP)
        s->format.max = s->scheme->flags & DRAIN_GELF ? GELF_UDP_MAX_DEFAULT : UDP_MAX_DEFAULT;
    s->batch = many ? BATCH_MANY : http ? BATCH_RECORD : BATCH_STREAM;
    s->connections = many ? CONNECTIONS_MANY : http ? CONNECTIONS_HTTP : WORKERS_MAX;
    if (s->scheme->ops == &drain_stdout_ops)
        s->connections = 1; /* lines of several workers would mix */
    s->linger_ms = http ? LINGER_HTTP_MS : 0;
    s->timeout_ms = DRAIN_TIMEOUT_MS;
    s->gzip = s->scheme->ops == &drain_ws_ops;
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
static bool is_servers(const struct drain_option *o, const struct drain_scheme *scheme)
{
    return scheme->flags & (DRAIN_HTTP | DRAIN_QUERY) && !drain_option_is_for(o, scheme) &&
           o->set != set_framing && o->set != set_batch;
}

/* The option that <pair> sets for <scheme>, or the one of that name for other schemes; NULL = none,
 * or the server's. */
static const struct drain_option *find(struct str pair, const struct drain_scheme *scheme)
{
    struct str name = pair_name(pair);
    const struct drain_option *found = NULL;

    for (const struct drain_option *o = options; o->name; o++)
        if (str_eq(name, str_of(o->name)) && (!found || drain_option_is_for(o, scheme)))
            found = o;
    if (!found || is_servers(found, scheme))
        return NULL;
    /* "?key=" of a webhook is none of a certificate, which begins with "-----" or is a file's path
     */
    if (found->set == tls_set_key && scheme->flags & (DRAIN_HTTP | DRAIN_QUERY) &&
        !str_starts(str_skip(pair, name.len), STR("=LS0tLS1")) &&
        !str_starts(str_skip(pair, name.len), STR("=/")))
        return NULL;
    return found;
}

static const struct drain_option *find_near(struct str name, const struct drain_scheme *scheme)
{
    for (const struct drain_option *o = options; o->name; o++)
        if (strlen(o->name) >= NEAR_MIN && drain_option_is_for(o, scheme) &&
            is_near(name, str_of(o->name)))
            return o;
    return NULL;
}

/* ---- the query ---- */

/* A parameter that is not one of our options. */
static int take_unknown(struct drain_spec *s, struct str pair, struct buf *passed, struct err *e)
{
    const struct drain_option *near = find_near(pair_name(pair), s->scheme);

    if (s->scheme->flags & DRAIN_ELASTIC && str_eq(pair_name(pair), STR("filter_path")))
        return err_set(e, EINVAL, "parameter 'filter_path' is logtrain's own for this scheme");
    if (near)
        return err_set(e, EINVAL, "unknown option '%.*s', did you mean '%s'",
                       STR_ARG(drain_option_shown(pair)), near->name);
    if (!(s->scheme->flags & (DRAIN_HTTP | DRAIN_QUERY)))
        return err_set(e, EINVAL, "unknown option '%.*s'", STR_ARG(drain_option_shown(pair)));
    if ((passed->len && buf_add_ch(passed, '&') < 0) || buf_add_str(passed, pair) < 0)
        return err_set(e, E2BIG, "query is too long");
    return 0;
}

static int take_option(struct drain_spec *s, struct str pair, uint64_t *seen, struct err *e)
{
    const struct drain_option *o = find(pair, s->scheme);
    struct buf value = BUF_INIT(URL_MAX);
    struct str rest = pair, name;
    uint64_t bit = 1ULL << (o - options);
    int rc;

    if (!drain_option_is_for(o, s->scheme))
        return err_set(e, EINVAL, "option '%s' is not for this scheme", o->name);
    if (*seen & bit)
        return err_set(e, EINVAL, "option '%s' is given twice", o->name);
    *seen |= bit;
    if (url_query_next(&rest, &name, &value) != 1)
        rc = err_set(e, EINVAL, "option '%s' is badly encoded", o->name);
    else
        rc = o->set(s, buf_str(&value), e);
    buf_release(&value);
    return rc;
}

/* Its receivers take text, and many give up at a byte that is no UTF-8. */
static bool meant_for_people(const struct drain_spec *s)
{
    if (s->scheme->ops == &drain_http_ops)
        return s->format.format == FORMAT_RAW;
    return s->scheme->ops == &drain_redis_ops || s->scheme->ops == &drain_ws_ops;
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
    if (!s->utf8_given)
        s->utf8_keep = !meant_for_people(s);
    if (tls_settle(s, e) < 0 || elastic_settle(s, e) < 0)
        return -1;
    if (s->scheme->ops != &drain_redis_ops)
        return 0;
    if (!s->group && s->format.format == FORMAT_GELF)
        s->format.group = STR("lr"); /* what pages for this kind of channel ask for */
    return redis_settle(s, e);
}

int drain_options_parse(struct drain_spec *s, struct buf *passed, struct err *e)
{
    struct str rest = s->url.query, pair;
    uint64_t seen = 0;

    while (str_cut(&rest, '&', &pair)) {
        int rc;

        if (pair.len == 0)
            continue;
        rc = find(pair, s->scheme) ? take_option(s, pair, &seen, e)
                                   : take_unknown(s, pair, passed, e);
        if (rc < 0)
            return -1;
    }
    return settle(s, e);
}
