/*
 * es://, elasticsearch:// and their +http, +https forms: Elasticsearch's and OpenSearch's _bulk.
 * Posting is http.c's; here is what is asked for in the URL, and what the answer means: a 2xx says
 * only that the request was read, and each record has a status of its own (bulk_answer.c).
 *
 * Every record is a `create` with an id made of its place (formats/elastic.c), so that sending it
 * again does no harm: what the index has already is a conflict, and a conflict is delivered.
 */
#include <errno.h>

#include "base/limits.h"
#include "drains/bulk_answer.h"
#include "drains/http_internal.h"
#include "drains/members.h"

static enum verdict elastic_verdict(const struct http_answer *a, const struct err *e,
                                    struct batch *b)
{
    enum verdict v = http_verdict(a, e, &b->err);

    if (v != VERDICT_DELIVERED)
        return v;
    if (a->body_truncated) {
        (void)err_set(
            &b->err, EMSGSIZE,
            "answer to a bulk request broke off, or is over %d bytes, or over what is left of them",
            HTTP_RESPONSE_BODY_MAX);
        return VERDICT_RETRY; /* of a smaller batch, as all are after a failure */
    }
    if (drain_unshelve(b->drain, b) < 0) { /* whose ids the answer has can be told no more */
        (void)err_set(&b->err, ESTALE, "log file changed under a request");
        return VERDICT_RETRY;
    }
    return bulk_answer_read(a->body, buf_str(&b->body), b->records, batch_outcomes(b), &b->err,
                            &b->refusal);
}

static const struct http_kind kind = {.want_body = true, .verdict = elastic_verdict};

static struct drain *elastic_create(struct worker *wk, struct drain_spec *spec, struct err *e)
{
    (void)e;
    return http_create_as(&drain_elastic_ops, &kind, wk, spec);
}

const struct drain_ops drain_elastic_ops = {
    .name = "elastic",
    .create = elastic_create,
    .send = http_post,
    .shelve = http_shelve,
    .rest = http_rest,
    .close = http_close,
    .free = http_free,
};
