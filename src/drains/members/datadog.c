/*
 * datadog+https: Datadog's logs intake, v2. http_post.c posts, formats/intake.c writes.
 *
 * A request has 1,000 records at most. Datadog cuts a record above 1 MB and says nothing, so records
 * are cut to that here, where it is marked and counted.
 */
#include "drains/base/http_post.h"
#include "drains/core/drain.h"
#include "drains/members/members.h"

#define ITEMS_MAX 1000
#define ITEM_BYTES_MAX 1000000
#define NAME_MAX_BYTES 100
#define TAGS_MAX_BYTES 1000

static int add_key(const struct drain_spec *s, struct buf *out)
{
    return buf_addf(out, "dd-api-key: %.*s\n", STR_ARG(s->url.password));
}

static const struct http_kind kind = {.verdict = http_status_verdict, .add_headers = add_key};

/* ---- the URL ---- */

#define ITEMS ((DRAIN_HTTP_MANY | DRAIN_ONE_FORMAT | DRAIN_TLS) & ~DRAIN_AUTH)

static const struct drain_scheme schemes[] = {
    {.name = "datadog+https",
     .member = &drain_datadog,
     .port = 443,
     .flags = ITEMS,
     .promise = PROMISE_CONFIRMED,
     .format = FORMAT_DATADOG,
     .framing = FRAMING_ARRAY,
     .path = "/api/v2/logs",
     .sends = "Datadog's logs intake (`service=`, `tags=`)",
     .aliases = "dd"},
    {.name = NULL},
};

static const struct drain_option options[] = {
    {.name = "source",
     .common = true,
     .values = "NAME",
     .fallback = "logtrain",
     .help = "the source of the lines (`ddsource`), which chooses a pipeline",
     .type = OPTION_TEXT,
     DRAIN_FORMAT_FIELD(source),
     .min = 1,
     .max = NAME_MAX_BYTES,
     .shown = SECTION_FORMAT},
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
    {.name = "tags",
     .common = true,
     .values = "TAGS",
     .fallback = "none",
     .help = "tags beside those of namespace, pod and container: key:value, with commas between",
     .type = OPTION_TEXT,
     DRAIN_FORMAT_FIELD(tags),
     .min = 1,
     .max = TAGS_MAX_BYTES,
     .shown = SECTION_FORMAT},
    {.name = NULL},
};

static void set_defaults(struct drain_spec *s)
{
    s->auth = AUTH_OWN;
    s->batch_records = ITEMS_MAX;
    s->format.max = ITEM_BYTES_MAX;
}

const struct drain_member drain_datadog = {
    .ops = &http_ops,
    .kind = &kind,
    .schemes = schemes,
    .options = options,
    .answers = http_answers_only,
    .headers = "dd-api-key",
    .defaults = "max=1000000",
    .set_defaults = set_defaults,
};
