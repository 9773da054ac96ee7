/*
 * newrelic+https: New Relic's Log API. http_post.c posts, formats/intake.c writes the records of a stream
 * together, under what they have in common. A request may have 1 MB.
 */
#include "drains/base/http_post.h"
#include "drains/core/drain.h"
#include "drains/members/members.h"

#define BYTES_MAX (900 * 1024) /* and what a batch may exceed its target by */
#define NAME_MAX_BYTES 100

static int add_key(const struct drain_spec *s, struct buf *out)
{
    return buf_addf(out, "api-key: %.*s\n", STR_ARG(s->url.password));
}

static const struct http_kind kind = {.verdict = http_status_verdict, .add_headers = add_key};

/* ---- the URL ---- */

#define LOGS ((DRAIN_HTTP_MANY | DRAIN_ONE_FORMAT | DRAIN_TLS) & ~DRAIN_AUTH)

static const struct drain_scheme schemes[] = {
    {.name = "newrelic+https",
     .member = &drain_newrelic,
     .port = 443,
     .flags = LOGS,
     .promise = PROMISE_CONFIRMED,
     .format = FORMAT_NEWRELIC,
     .framing = FRAMING_STREAMS,
     .path = "/log/v1",
     .sends = "New Relic's Log API (`service=`)",
     .aliases = "nr"},
    {.name = NULL},
};

static const struct drain_option options[] = {
    {.name = "service",
     .common = true,
     .values = "NAME",
     .fallback = "the workload",
     .help = "the service that the lines are of",
     .type = OPTION_TEXT,
     DRAIN_FORMAT_FIELD(service),
     .min = 1,
     .max = NAME_MAX_BYTES,
     .shown = SECTION_FORMAT},
    {.name = NULL},
};

static void set_defaults(struct drain_spec *s)
{
    s->auth = AUTH_OWN;
    s->batch_bytes = BYTES_MAX;
}

const struct drain_member drain_newrelic = {
    .ops = &http_ops,
    .kind = &kind,
    .schemes = schemes,
    .options = options,
    .answers = http_answers_only,
    .headers = "api-key|x-license-key|x-insert-key",
    .set_defaults = set_defaults,
};
