/*
 * loki+http, loki+https: Grafana Loki's push API. http_post.c posts and formats/loki.c writes the body.
 * This file has the options of the URL, and the answers that differ from those of other HTTP
 * servers.
 *
 * Loki drops an entry that it has already (the same stream, time and line). So sending again, after
 * a lost answer or a partial refusal, makes no duplicates.
 */
#include <string.h>

#include "drains/base/http_post.h"
#include "drains/core/drain.h"
#include "drains/members/members.h"

#define TENANT_MAX 150 /* Loki's own limit */

struct loki_options {
    char *tenant; /* NULL = none */
};

/* ---- requests ---- */

static const struct answer_row statuses[] = {
    {.from = 260, /* the default; Loki's operator may choose another status */
     .to = 260,
     .verdict = VERDICT_HOLD,
     .reason = "ingestion is blocked"},
    {.reason = NULL},
};
static const struct answer_table statuses_table = {
    .what = "http status", .rows = statuses, .more = http_answer_rows};
static const struct answer_table *const answers[] = {&statuses_table, NULL};

static int add_tenant(const struct drain_spec *s, struct buf *out)
{
    const struct loki_options *own = s->own;

    return own->tenant ? buf_addf(out, "x-scope-orgid: %s\n", own->tenant) : 0;
}

static const struct http_kind kind = {.verdict = http_status_verdict, .add_headers = add_tenant};

/* ---- the URL ---- */

#define LOKI (DRAIN_HTTP_MANY | DRAIN_ONE_FORMAT)
#define PUSH "/loki/api/v1/push"

static const struct drain_scheme schemes[] = {
    {.name = "loki+http",
     .member = &drain_loki,
     .port = 3100,
     .flags = LOKI,
     .promise = PROMISE_CONFIRMED,
     .format = FORMAT_LOKI,
     .framing = FRAMING_STREAMS,
     .path = PUSH,
     .sends = "Grafana Loki's push API, records grouped by stream (`labels=`, `tenant=`)",
     .aliases = "grafana"},
    {.name = "loki+https",
     .member = &drain_loki,
     .port = 443,
     .flags = LOKI | DRAIN_TLS,
     .promise = PROMISE_CONFIRMED,
     .format = FORMAT_LOKI,
     .framing = FRAMING_STREAMS,
     .path = PUSH,
     .aliases = "grafana"},
    {.name = NULL},
};

/* The characters that Loki accepts in a tenant's name; '|' separates several names. */
static bool is_tenant(struct str v)
{
    static const char legal[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!-_.*'()|";

    for (size_t i = 0; i < v.len; i++)
        if (!memchr(legal, v.p[i], sizeof(legal) - 1))
            return false;
    return true;
}

static const struct drain_option options[] = {
    {.name = "labels",
     .values = FORMAT_LABELS,
     .fallback = "all but pod",
     .help = "the labels of a stream, with commas between",
     .type = OPTION_WORDS,
     DRAIN_FORMAT_FIELD(labels),
     .shown = SECTION_FORMAT},
    {.name = "tenant",
     .values = "NAME",
     .fallback = "none",
     .help = "sent as X-Scope-OrgID",
     .type = OPTION_SECRET,
     DRAIN_FIELD(loki_options, tenant),
     .min = 1,
     .max = TENANT_MAX,
     .fits = is_tenant,
     .must_be = "a name that Loki takes",
     .shown = SECTION_PLACE},
    {.name = NULL},
};

const struct drain_member drain_loki = {
    .ops = &http_ops,
    .kind = &kind,
    .schemes = schemes,
    .options = options,
    .own_size = sizeof(struct loki_options),
    .headers = "x-scope-orgid",
    .answers = answers,
};
