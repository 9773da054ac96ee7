/*
 * splunk+http, splunk+https: Splunk's HTTP Event Collector, its event form. http.c posts,
 * formats/intake.c writes the events one behind the other.
 *
 * A 200 says that the collector has the events in its queue. Indexer acknowledgement is not asked
 * for: a token that demands it answers "channel missing", which holds the drain.
 */
#include <errno.h>

#include "drains/core/drain.h"
#include "drains/members/http_internal.h"
#include "drains/members/members.h"

#define NAME_MAX_BYTES 200

/* Of the answer's codes those that a 400 has, and that are no fault of an event. */
static const struct {
    uint64_t code;
    const char *reason;
} held[] = {
    {7, "incorrect index"},
    {10, "the token wants acknowledgement (channel missing)"},
    {11, "invalid channel"},
    {14, "acknowledgement is disabled"},
    {16, "query string authorization is disabled"},
};

/* The number behind "code": 0 = there is none. */
static uint64_t code_of(struct str body)
{
    static const char key[] = "\"code\":";
    const char *at = body.len ? memmem(body.p, body.len, key, sizeof(key) - 1) : NULL;
    struct str rest = at ? str_skip(body, (size_t)(at - body.p) + sizeof(key) - 1) : body;
    uint64_t code = 0;
    size_t n = 0;

    while (rest.len && rest.p[0] == ' ')
        rest = str_skip(rest, 1);
    while (n < rest.len && rest.p[n] >= '0' && rest.p[n] <= '9')
        n++;
    return at && str_to_u64(str_head(rest, n), 1000, &code) ? code : 0;
}

static enum verdict splunk_verdict(const struct http_answer *a, const struct err *e,
                                   struct batch *b)
{
    uint64_t code = a->status == 400 ? code_of(a->body) : 0;

    for (size_t i = 0; i < sizeof(held) / sizeof(held[0]); i++)
        if (code && code == held[i].code) {
            (void)err_set(&b->err, EPROTO, "http status 400: %s", held[i].reason);
            return VERDICT_HOLD;
        }
    return http_status_verdict(a, e, b);
}

static const struct http_kind kind = {.want_body = true, .verdict = splunk_verdict};

/* ---- the URL ---- */

#define EVENTS (DRAIN_HTTP_MANY | DRAIN_ONE_FORMAT)
#define COLLECTOR "/services/collector/event"

static const struct drain_scheme schemes[] = {
    {.name = "splunk+http",
     .member = &drain_splunk,
     .port = 8088,
     .flags = EVENTS,
     .promise = PROMISE_CONFIRMED,
     .format = FORMAT_SPLUNK,
     .framing = FRAMING_LF,
     .path = COLLECTOR,
     .sends = "Splunk's HTTP Event Collector (`index=`, `source=`, `sourcetype=`)",
     .aliases = "hec"},
    {.name = "splunk+https",
     .member = &drain_splunk,
     .port = 8088,
     .flags = EVENTS | DRAIN_TLS,
     .promise = PROMISE_CONFIRMED,
     .format = FORMAT_SPLUNK,
     .framing = FRAMING_LF,
     .path = COLLECTOR,
     .aliases = "hec"},
    {.name = NULL},
};

static const struct drain_option options[] = {
    {.name = "source",
     .common = true,
     .values = "NAME",
     .fallback = "the hostname",
     .help = "the source of the events",
     .type = OPTION_TEXT,
     DRAIN_FORMAT_FIELD(source),
     .min = 1,
     .max = NAME_MAX_BYTES,
     .shown = SECTION_FORMAT},
    {.name = "sourcetype",
     .common = true,
     .values = "NAME",
     .fallback = "kube:container: and the container's name, else syslog",
     .help = "how the events are read",
     .type = OPTION_TEXT,
     DRAIN_FORMAT_FIELD(sourcetype),
     .min = 1,
     .max = NAME_MAX_BYTES,
     .shown = SECTION_FORMAT},
    {.name = "index",
     .common = true,
     .values = "NAME",
     .fallback = "the token's",
     .help = "the index that the events go to",
     .type = OPTION_TEXT,
     DRAIN_FORMAT_FIELD(index),
     .min = 1,
     .max = NAME_MAX_BYTES,
     .shown = SECTION_FORMAT},
    {.name = NULL},
};

static void set_defaults(struct drain_spec *s)
{
    s->auth = AUTH_SPLUNK;
}

const struct drain_member drain_splunk = {
    .ops = &http_ops,
    .kind = &kind,
    .schemes = schemes,
    .options = options,
    .answers = http_answers_only,
    .set_defaults = set_defaults,
};
