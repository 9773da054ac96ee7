/*
 * es://, elasticsearch:// and their +http, +https forms: the _bulk API of Elasticsearch and
 * OpenSearch. http_post.c posts. This file has the options of the URL and the meaning of an answer: a
 * 2xx only says that the request was read; each record has a status of its own (bulk_answer.c).
 *
 * Every record is a `create` with an id made of its position (formats/elastic.c), so that sending
 * it again does no harm: the index answers that it has it already (409), and that counts as
 * delivered.
 */
#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "drains/base/http_post.h"
#include "drains/core/drain.h"
#include "drains/members/bulk_answer.h"
#include "drains/members/members.h"

/* Asks for the few fields of an answer that are read; a whole one has several hundred bytes for
 * each record. */
#define FILTER "filter_path"
#define FILTERED "=items.*._id,items.*.status,items.*.error.type"

/* ---- the answer ---- */

static enum verdict elastic_verdict(const struct http_answer *a, const struct err *e,
                                    struct batch *b)
{
    enum verdict v = http_status_verdict(a, e, b);

    if (v != VERDICT_DELIVERED)
        return v;
    if (a->body_truncated) {
        (void)err_set(&b->err, EMSGSIZE,
                      "answer to a bulk request is incomplete, over %d bytes, or over the memory "
                      "that is left",
                      HTTP_RESPONSE_BODY_MAX);
        return VERDICT_RETRY; /* of a smaller batch, as after any failure */
    }
    if (drain_unshelve(b->drain, b) < 0) { /* the ids in the answer cannot be compared any more */
        (void)err_set(&b->err, ESTALE, "log file changed while a request was sent");
        return VERDICT_RETRY;
    }
    return bulk_answer_read(a->body, buf_str(&b->body), b->records, batch_outcomes(b), &b->err,
                            &b->refusal);
}

static const struct http_kind kind = {.want_body = true, .verdict = elastic_verdict};

/* ---- the URL ---- */

#define ELASTIC(tls, port_) /* what its schemes share */                                           \
    .member = &drain_elastic, .port = (port_),                                                     \
    .flags = DRAIN_HTTP_MANY | DRAIN_ONE_FORMAT | (tls), .promise = PROMISE_ONCE,                  \
    .format = FORMAT_ELASTIC, .framing = FRAMING_LF
#define ALIASES "elastic|opensearch"

static const struct drain_scheme schemes[] = {
    {.name = "es",
     ELASTIC(DRAIN_TLS, 443),
     .sends = "Elasticsearch's or OpenSearch's `_bulk`, every item's status read",
     .aliases = ALIASES},
    {.name = "es+https", ELASTIC(DRAIN_TLS, 443), .aliases = ALIASES},
    {.name = "es+http", ELASTIC(0, 80), .aliases = ALIASES},
    {.name = "elasticsearch", ELASTIC(DRAIN_TLS, 443)},
    {.name = "elasticsearch+https", ELASTIC(DRAIN_TLS, 443)},
    {.name = "elasticsearch+http", ELASTIC(0, 80)},
    {.name = NULL},
};

static const struct drain_option options[] = {
    {.name = "index",
     .is_public = true,
     .common = true,
     .values = "NAME",
     .fallback = "the hostname, made legal",
     .help = "where records go; %Y, %m and %d in it are of the record's time, in UTC",
     .type = OPTION_TEXT,
     DRAIN_FORMAT_FIELD(index),
     .max = URL_MAX,
     .fits = format_index_valid,
     .must_be = "a legal index name (lower case), in which %Y, %m and %d may stand"},
    {.name = NULL},
};

static void set_defaults(struct drain_spec *s)
{
    s->format.index_namespace = s->owner;
}

/* Appends /_bulk to <path>, and asks for the fields that we read. */
static int add_target(const struct drain_spec *s, struct str path, struct buf *target)
{
    int rc = buf_add_str(target, path);

    (void)s;
    if (!str_starts(path, STR("/_bulk")))
        rc |= str_ends(path, STR("/")) ? buf_add_str(target, STR("_bulk"))
                                       : buf_add_str(target, STR("/_bulk"));
    rc |= buf_add_str(target, STR("?" FILTER FILTERED));
    return rc < 0 ? -1 : 0;
}

static bool addresses(const struct drain_spec *s)
{
    return !s->format.index.len;
}

static int describe(const struct drain_spec *s, enum drain_section section, struct buf *out)
{
    if (section != SECTION_FORMAT)
        return 0;
    return drain_spec_line(out, "index", "%s",
                           s->format.index.len ? s->format.index.p
                           : s->owner          ? "logtrain-<namespace>"
                                               : "the hostname of each record (under a pattern its "
                                                 "workload's true name), made legal");
}

static const struct answer_table *const answers[] = {&http_answers, &bulk_items, NULL};

const struct drain_member drain_elastic = {
    .ops = &http_ops,
    .kind = &kind,
    .schemes = schemes,
    .options = options,
    .reserved = FILTER,
    .answers = answers,
    .set_defaults = set_defaults,
    .add_target = add_target,
    .addresses = addresses,
    .describe = describe,
};
