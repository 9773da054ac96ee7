/*
 * The table of the options that members share. The parser, --help and --drains-table use it
 * together with the members' own tables.
 *
 * Errors name the option, never its value: a value may be a secret that was put in the wrong place.
 */
#include <errno.h>

#include "base/limits.h"
#include "drains/spec/spec_internal.h"

#define GROUP_MAX 64
#define SINCE_MAX_DAYS 365

/* ---- values that have a parser of their own ---- */

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
     .is_public = true,
     .values = "rfc5424|json|gelf|raw",
     .fallback = "the scheme's",
     .help = "how a record is written; a scheme for one kind of receiver has its own format only",
     .type = OPTION_OTHER,
     .set = set_format},
    {.name = "group",
     .is_public = true,
     .values = "NAME",
     .fallback = "none",
     .help = "`_group` of each record (format=gelf only)",
     .type = OPTION_TEXT,
     DRAIN_FORMAT_FIELD(group),
     .min = 1,
     .max = GROUP_MAX},
    {.name = "framing",
     .is_public = true,
     .traits = DRAIN_FRAMING,
     .values = "lf|octet",
     .fallback = "lf for syslog+tcp and syslog+http, octet for syslog+tls, none for redis",
     .help = "what separates records: LF after each (LF and NUL inside become a space), or the "
             "length before each (RFC 6587); redis: lf puts whole lines together",
     .type = OPTION_OTHER,
     .set = set_framing},
    {.name = "batch",
     .is_public = true,
     .traits = DRAIN_BATCH,
     .values = "record|ndjson|array",
     .fallback = "record",
     .help = "what one request carries: one record; many, one per line; many as a JSON array "
             "(format=json only)",
     .type = OPTION_WORD,
     FIELD(batch)},
    {.name = "connections",
     .is_public = true,
     .traits = DRAIN_CONNECTIONS,
     .values = "1..256",
     .fallback = "40 with a record for each request, 4 with many, else one for each worker",
     .help = "requests at once, for each worker; where there are no requests: connections in all, "
             "one for each worker at most",
     .type = OPTION_NUMBER,
     FIELD(connections),
     .min = 1,
     .max = CONNECTIONS_MAX},
    {.name = "linger",
     .is_public = true,
     .traits = DRAIN_LINGER,
     .values = "DURATION 0..60s",
     .fallback = "100ms with requests, else 0",
     .help = "how long a request, message or write that is not full waits for more (http: with "
             "batch=ndjson or array)",
     .type = OPTION_DURATION,
     FIELD(linger_ms),
     .max = LINGER_MAX_MS},
    {.name = "compression",
     .is_public = true,
     .values = "none|gzip",
     .fallback = "none",
     .help = "gzip the body of each request, or each message (ws, redis, and schemes that make "
             "requests)",
     .type = OPTION_WORD,
     FIELD(gzip)},
    {.name = "since",
     .is_public = true,
     .values = "start|DURATION 1s..365d",
     .fallback = "none",
     .help = "where a drain that is new to a stream begins: with all that the node still has, or "
             "with the lines of so long ago; else with what comes",
     .type = OPTION_OTHER,
     .set = set_since},
    {.name = "timeout",
     .is_public = true,
     .values = "DURATION 1s..300s",
     .fallback = "30s",
     .help = "for a connect, an answer, or a write that makes no progress",
     .type = OPTION_DURATION,
     FIELD(timeout_ms),
     .min = TIMEOUT_MIN_MS,
     .max = TIMEOUT_MAX_MS},
    {.name = "insecure",
     .is_public = true,
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
     .common = true,
     .values = "BASE64|FILE",
     .fallback = "none",
     .help = "the key of cert= in PEM, as base64 or (for operators) in a file",
     .type = OPTION_OTHER,
     .set = tls_set_key},
    {.name = "servername",
     .is_public = true,
     .values = "NAME",
     .fallback = "the host",
     .help = "the name that the server's certificate must be for, and that it is asked for (SNI; "
             "schemes with TLS only)",
     .type = OPTION_OTHER,
     .set = tls_set_servername},
    {.name = "auth",
     .traits = DRAIN_AUTH,
     .values = "basic|bearer|apikey|splunk|none",
     .fallback = "basic",
     .help = "what user and password of the URL are: a login; (the password alone) a bearer token; "
             "an API key's id and key, or (without a user) the key as it is sent; (the password "
             "alone) Splunk's token",
     .type = OPTION_WORD,
     FIELD(auth)},
    {.name = "header",
     .traits = DRAIN_REQUESTS,
     .values = "NAME:VALUE",
     .fallback = "none",
     .help = "a header of each request; may be given several times",
     .type = OPTION_OTHER,
     .many = true,
     .set = http_set_header},
    {.name = "sd",
     .is_public = true,
     .values = "true|false",
     .fallback = "false",
     .help = "adds namespace, pod, container, node and the record's id (as structured data in "
             "rfc5424)",
     .type = OPTION_BOOL,
     FIELD(format.sd)},
    {.name = "utf8",
     .traits = DRAIN_UTF8,
     .values = "valid|keep",
     .fallback = "keep",
     .help = "whether U+FFFD takes the place of what is not UTF-8, or bytes go as they are (json "
             "and gelf are always valid)",
     .type = OPTION_WORD,
     FIELD(utf8)},
    {.name = "max",
     .is_public = true,
     .values = "SIZE 480..16m (udp: 480..65507)",
     .fallback = "no limit",
     .help = "records are cut to so many bytes",
     .type = OPTION_OTHER,
     .set = set_max},
    {.name = "containers",
     .is_public = true,
     .values = "NAME,!NAME,...",
     .fallback = "all",
     .help = "which containers' lines go to the drain: only these, or (with `!`) all but these",
     .type = OPTION_OTHER,
     .set = lines_set_containers},
    {.name = "streams",
     .is_public = true,
     .values = "stdout|stderr",
     .fallback = "both",
     .help = "which of a container's streams go to it; lines of network inputs count as stdout",
     .type = OPTION_OTHER,
     .set = lines_set_stream},
    {.name = "include",
     .is_public = true,
     .values = "TEXT",
     .fallback = "none",
     .help =
         "only lines with this text, or that this `~EXPRESSION` matches, go to it; given several "
         "times: with one of these",
     .type = OPTION_OTHER,
     .many = true,
     .set = lines_add_include},
    {.name = "exclude",
     .is_public = true,
     .values = "TEXT",
     .fallback = "none",
     .help = "lines with this text, or that this `~EXPRESSION` matches, do not go to it; may be "
             "given several times",
     .type = OPTION_OTHER,
     .many = true,
     .set = lines_add_exclude},
    {.name = "level",
     .is_public = true,
     .values = "auto|debug|info|notice|warn|error|critical|alert|emergency",
     .fallback = "lines are not asked for their level",
     .help = "finds the level that each line gives itself, and sends it as the record's severity; "
             "lines "
             "below this level are left out, those without one are not",
     .type = OPTION_OTHER,
     .set = lines_set_level},
    {.name = "sample",
     .is_public = true,
     .values = "0.000001..1",
     .fallback = "1",
     .help = "only this part of the lines goes to it, chosen by their place in the log",
     .type = OPTION_OTHER,
     .set = lines_set_sample},
    {.name = "rate",
     .is_public = true,
     .values = "N/s,BURST",
     .fallback = "no limit",
     .help =
         "most lines of each container that go to it, by the lines' own times: in a second (`/m`: "
         "a "
         "minute, `/h`: an hour), and so many at once (else N); it is told how many are left out",
     .type = OPTION_OTHER,
     .set = lines_set_rate},
    {.name = "redact",
     .values = "cards,emails,tokens,ipv4 or ~EXPRESSION",
     .fallback = "none",
     .help = "what is masked in its lines before they leave; may be given several times",
     .type = OPTION_OTHER,
     .many = true,
     .set = lines_add_redact},
    {.name = NULL},
};

const struct drain_option *drain_options_shared(void)
{
    return options;
}
