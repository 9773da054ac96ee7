/*
 * What an HTTP server's answer means for a batch. HOLD or REJECTED: is the configuration wrong, or
 * the data? When every batch would be refused (credentials, address, method, encoding), all are
 * held. Only what may be the fault of one record is searched for and skipped.
 *
 * The answer's body is neither read nor quoted: it may hold the lines that were sent.
 */
#include <errno.h>
#include <limits.h>

#include "drains/base/http_post.h"

const struct answer_row http_answer_rows[] = {
    {.from = 200, .to = 299, .verdict = VERDICT_DELIVERED, .reason = ""},
    {.from = 300, .to = 399, .verdict = VERDICT_HOLD, .reason = "redirects are not followed"},
    {.from = 400, .to = 400, .verdict = VERDICT_REJECTED, .reason = "bad request"},
    {.from = 401, .to = 401, .verdict = VERDICT_HOLD, .reason = "credentials are missing or wrong"},
    {.from = 402, .to = 402, .verdict = VERDICT_HOLD, .reason = "payment required"},
    {.from = 403, .to = 403, .verdict = VERDICT_HOLD, .reason = "not allowed"},
    {.from = 404, .to = 404, .verdict = VERDICT_HOLD, .reason = "no such path"},
    {.from = 405, .to = 405, .verdict = VERDICT_HOLD, .reason = "the path takes no POST"},
    {.from = 406, .to = 406, .verdict = VERDICT_HOLD, .reason = "not acceptable"},
    {.from = 407, .to = 407, .verdict = VERDICT_HOLD, .reason = "a proxy asks for credentials"},
    {.from = 408,
     .to = 408,
     .verdict = VERDICT_RETRY,
     .reason = "the server did not get the request in time"},
    {.from = 410, .to = 410, .verdict = VERDICT_HOLD, .reason = "the path is gone"},
    {.from = 411, .to = 411, .verdict = VERDICT_HOLD, .reason = "length required"},
    {.from = 413, .to = 413, .verdict = VERDICT_TOO_LARGE, .reason = "body too large"},
    {.from = 414, .to = 414, .verdict = VERDICT_HOLD, .reason = "url too long"},
    {.from = 415,
     .to = 415,
     .verdict = VERDICT_HOLD,
     .reason = "content type or encoding not supported"},
    {.from = 417, .to = 417, .verdict = VERDICT_HOLD, .reason = "expectation failed"},
    {.from = 421, .to = 421, .verdict = VERDICT_HOLD, .reason = "not a server for this host"},
    {.from = 422, .to = 422, .verdict = VERDICT_REJECTED, .reason = "cannot be processed"},
    {.from = 425, .to = 425, .verdict = VERDICT_RETRY, .reason = "too early"},
    {.from = 426, .to = 426, .verdict = VERDICT_HOLD, .reason = "another protocol is required"},
    {.from = 429, .to = 429, .verdict = VERDICT_RETRY, .reason = "too many requests"},
    {.from = 431, .to = 431, .verdict = VERDICT_HOLD, .reason = "headers too large"},
    {.from = 451, .to = 451, .verdict = VERDICT_HOLD, .reason = "refused for legal reasons"},
    {.from = 400, .to = 499, .verdict = VERDICT_REJECTED, .reason = "refused"},
    {.from = 500, .to = 500, .verdict = VERDICT_RETRY, .reason = "server error"},
    {.from = 502, .to = 502, .verdict = VERDICT_RETRY, .reason = "bad gateway"},
    {.from = 503, .to = 503, .verdict = VERDICT_RETRY, .reason = "unavailable"},
    {.from = 504, .to = 504, .verdict = VERDICT_RETRY, .reason = "gateway timeout"},
    {.from = 500, .to = 599, .verdict = VERDICT_RETRY, .reason = "server error"},
    {.from = INT_MIN, .to = INT_MAX, .verdict = VERDICT_RETRY, .reason = "not a final status"},
    {.reason = NULL},
};

const struct answer_table http_answers = {.what = "http status", .rows = http_answer_rows};
const struct answer_table *const http_answers_only[] = {&http_answers, NULL};

static enum verdict on_silence(const struct http_answer *a, const struct err *e, struct err *why)
{
    *why = *e;
    if (a->refused_by_policy)
        return VERDICT_HOLD;
    switch (e->code) {
    case EINVAL: /* the request or the TLS options can never work */
        return VERDICT_HOLD;
    case ETIMEDOUT:
    case ECONNRESET: /* the request was sent and may have arrived */
    case EMSGSIZE:
        return VERDICT_RETRY;
    default:
        return VERDICT_OFFLINE;
    }
}

enum verdict http_verdict(const struct answer_table *t, const struct http_answer *a,
                          const struct err *e, struct err *why)
{
    const struct answer_row *r;

    if (a->status == 0)
        return on_silence(a, e, why);
    r = answer_find(t, a->status, STR(""));
    if (r->verdict != VERDICT_DELIVERED)
        (void)err_set(why, EPROTO, "http status %d: %s", a->status, r->reason);
    return r->verdict;
}

/* http:// and syslog+http:// are for receivers of any kind, also those that answer with HTML. */
static bool may_be_page(const struct drain_scheme *s)
{
    return s->flags & DRAIN_ANY_SERVER && !(s->flags & DRAIN_ONE_FORMAT);
}

enum verdict http_status_verdict(const struct http_answer *a, const struct err *e, struct batch *b)
{
    const struct drain_scheme *s = b->drain->spec->scheme;
    enum verdict v = http_verdict(s->member->answers[0], a, e, &b->err);

    if (v != VERDICT_DELIVERED || !a->web_page || may_be_page(s))
        return v;
    (void)err_set(&b->err, EPROTO, "http status %d: a web page: the url leads to another server",
                  a->status);
    return VERDICT_HOLD;
}
