/*
 * splunk+http, splunk+https: Splunk's HTTP Event Collector, its event form. http_post.c posts,
 * formats/intake.c writes the events one behind the other.
 *
 * A 200 says that the collector has the events in its queue, and confirms. With ack=true it is only
 * a receipt, and what confirms is the indexer's acknowledgement (http_ack.c). Then a drain has a
 * channel of its own. A token that demands this answers others with "channel missing", which holds
 * the drain.
 */
#include <errno.h>
#include <inttypes.h>
#include <sys/random.h>

#include "drains/base/http_post.h"
#include "drains/base/json_value.h"
#include "drains/core/drain.h"
#include "drains/members/members.h"

#define NAME_MAX_BYTES 200
#define CHANNEL_SIZE 37

struct splunk_options {
    bool ack;
    char channel[CHANNEL_SIZE]; /* a GUID; empty without <ack> */
};

/* Of the answer's codes those that a 400 has, and that are no fault of an event. */
static const struct {
    uint64_t code;
    const char *reason;
} held[] = {
    {7, "incorrect index"},
    {10, "the token wants acknowledgement: ack=true"},
    {11, "invalid channel"},
    {14, "acknowledgement is disabled"},
    {16, "query string authorization is disabled"},
};

/* 0 = there is none. */
static uint64_t code_of(struct str body)
{
    uint64_t code;

    return json_number(body, STR("\"code\""), UINT64_MAX, &code) ? code : 0;
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

/* ---- acknowledgement ---- */

static bool wants_ack(const struct drain_spec *s)
{
    return ((const struct splunk_options *)s->own)->ack;
}

static bool ack_id(struct str answer, uint64_t *number)
{
    return json_number(answer, STR("\"ackId\""), UINT64_MAX, number);
}

/* Beside the path of the events. */
static int add_ack_target(const struct drain_spec *s, struct buf *out)
{
    const struct splunk_options *own = s->own;
    struct str path = str_of(s->target), rest;

    str_cut(&path, '?', &rest);
    if (str_ends(rest, STR("/event")))
        rest = str_head(rest, rest.len - STR("/event").len);
    return buf_addf(out, "%.*s/ack?channel=%s", STR_ARG(rest), own->channel);
}

static int add_ack_question(const uint64_t *numbers, unsigned n, struct buf *out)
{
    int rc = buf_addf(out, "{\"acks\":[");

    for (unsigned i = 0; i < n; i++)
        rc |= buf_addf(out, "%s%" PRIu64, i ? "," : "", numbers[i]);
    return rc | buf_addf(out, "]}");
}

/* {"acks":{"7":true,"8":false}} */
static bool is_acked(struct str answer, uint64_t number)
{
    struct buf key = BUF_INIT(64);
    struct str rest;
    bool yes;

    (void)buf_addf(&key, "\"%" PRIu64 "\"", number);
    yes = json_value(answer, buf_str(&key), &rest) && str_starts(rest, STR("true"));
    buf_release(&key);
    return yes;
}

static int add_channel(const struct drain_spec *s, struct buf *out)
{
    const struct splunk_options *own = s->own;

    return own->ack ? buf_addf(out, "x-splunk-request-channel: %s\n", own->channel) : 0;
}

static const struct http_later later = {.wanted = wants_ack,
                                        .receipt = ack_id,
                                        .add_target = add_ack_target,
                                        .add_question = add_ack_question,
                                        .confirmed = is_acked};
static const struct http_kind kind = {
    .want_body = true, .verdict = splunk_verdict, .add_headers = add_channel, .later = &later};

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
     .is_public = true,
     .common = true,
     .values = "NAME",
     .fallback = "the token's",
     .help = "the index that the events go to",
     .type = OPTION_TEXT,
     DRAIN_FORMAT_FIELD(index),
     .min = 1,
     .max = NAME_MAX_BYTES,
     .shown = SECTION_FORMAT},
    {.name = "ack",
     .common = true,
     .values = "true|false",
     .fallback = "false",
     .help = "whether the indexer's acknowledgement confirms, in place of the collector's answer",
     .type = OPTION_BOOL,
     DRAIN_FIELD(splunk_options, ack)},
    {.name = NULL},
};

static void set_defaults(struct drain_spec *s)
{
    s->auth = AUTH_SPLUNK;
}

static int make_channel(char out[CHANNEL_SIZE], struct err *e)
{
    uint16_t r[8];

    if (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r))
        return err_set(e, EIO, "no random numbers");
    (void)snprintf(out, CHANNEL_SIZE, "%04x%04x-%04x-4%03x-%04x-%04x%04x%04x", r[0], r[1], r[2],
                   r[3] & 0xfff, (r[4] & 0x3fff) | 0x8000, r[5], r[6], r[7]);
    return 0;
}

static int settle(struct drain_spec *s, struct err *e)
{
    struct splunk_options *own = s->own;

    return own->ack ? make_channel(own->channel, e) : 0;
}

const struct drain_member drain_splunk = {
    .ops = &http_ops,
    .kind = &kind,
    .schemes = schemes,
    .options = options,
    .own_size = sizeof(struct splunk_options),
    .headers = "x-splunk-request-channel",
    .answers = http_answers_only,
    .defaults = "auth=splunk",
    .set_defaults = set_defaults,
    .settle = settle,
};
