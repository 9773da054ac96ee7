/*
 * otlp+http, otlp+https: OpenTelemetry's protocol over HTTP. http_post.c posts, formats/otlp.c and
 * otlp_json.c write the body; here are the options in the URL, and what a receiver says of a request
 * that it took.
 *
 * Such an answer may say that some records were rejected, how many, and why in words, but not which.
 * They must not be sent again, for the others would be there twice.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "drains/base/http_post.h"
#include "drains/core/drain.h"
#include "drains/members/members.h"
#include "drains/members/otlp_answer.h"

#define NAME_MAX_BYTES 200

enum encoding { ENCODING_PROTOBUF = 0, ENCODING_JSON };

struct otlp_options {
    enum encoding encoding;
    char *service; /* NULL = of what is known of the stream */
};

/* ---- requests ---- */

static enum verdict otlp_verdict(const struct http_answer *a, const struct err *e, struct batch *b)
{
    enum verdict v = http_status_verdict(a, e, b);
    uint64_t rejected;

    if (v != VERDICT_DELIVERED)
        return v;
    rejected = otlp_answer_rejected(a->body);
    if (!rejected)
        return v;
    (void)err_set(&b->refusal, EPROTO,
                  "the answer says that %" PRIu64 " of %" PRIu32 " records were rejected", rejected,
                  b->records);
    if (rejected < b->records) {
        b->dropped = (uint32_t)rejected;
        return v;
    }
    memset(batch_outcomes(b), VERDICT_REJECTED, b->records);
    return VERDICT_MIXED;
}

static const struct http_kind kind = {.want_body = true, .verdict = otlp_verdict};

/* ---- the URL ---- */

#define OTLP (DRAIN_HTTP_MANY | DRAIN_ONE_FORMAT)
#define LOGS "/v1/logs"

static const struct drain_scheme schemes[] = {
    {.name = "otlp+http",
     .member = &drain_otlp,
     .port = 4318,
     .flags = OTLP,
     .promise = PROMISE_CONFIRMED,
     .format = FORMAT_OTLP,
     .framing = FRAMING_STREAMS,
     .path = LOGS,
     .sends = "OpenTelemetry logs, records grouped by stream (`encoding=`, `service=`)",
     .aliases = "opentelemetry|otel"},
    {.name = "otlp+https",
     .member = &drain_otlp,
     .port = 443,
     .flags = OTLP | DRAIN_TLS,
     .promise = PROMISE_CONFIRMED,
     .format = FORMAT_OTLP,
     .framing = FRAMING_STREAMS,
     .path = LOGS,
     .aliases = "opentelemetry|otel"},
    {.name = NULL},
};

static const struct drain_option options[] = {
    {.name = "encoding",
     .common = true,
     .values = "protobuf|json",
     .fallback = "protobuf",
     .help = "how a request's body is written",
     .type = OPTION_WORD,
     DRAIN_FIELD(otlp_options, encoding)},
    {.name = "service",
     .common = true,
     .values = "NAME",
     .fallback = "the pod's label app.kubernetes.io/name, else the workload",
     .help = "the service that the lines are of (`service.name`)",
     .type = OPTION_TEXT,
     DRAIN_FIELD(otlp_options, service),
     .min = 1,
     .max = NAME_MAX_BYTES,
     .shown = SECTION_FORMAT},
    {.name = NULL},
};

static int settle(struct drain_spec *s, struct err *e)
{
    const struct otlp_options *own = s->own;

    (void)e;
    s->utf8 = UTF8_VALID;
    s->format.service = str_of(own->service);
    if (own->encoding == ENCODING_JSON)
        s->format.format = FORMAT_OTLP_JSON;
    return 0;
}

const struct drain_member drain_otlp = {
    .ops = &http_ops,
    .kind = &kind,
    .schemes = schemes,
    .options = options,
    .own_size = sizeof(struct otlp_options),
    .answers = http_answers_only,
    .settle = settle,
};
