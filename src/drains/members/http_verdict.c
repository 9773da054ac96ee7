/*
 * What an http server's answer means for a batch. The line that decides between HOLD and REJECTED:
 * is the drain wrong, or the data? A refusal that every batch would meet (credentials, address,
 * method, encoding) holds them all; only what can be the fault of one record lets the framework
 * look for it and skip it.
 *
 * The answer's body is never read nor quoted: it may hold the lines that were sent.
 */
#include <errno.h>
#include <limits.h>

#include "drains/members/http_internal.h"

static const struct http_verdict_row rows[] = {
    {200, 299, VERDICT_DELIVERED, ""},
    {300, 399, VERDICT_HOLD, "redirects are not followed"},
    {400, 400, VERDICT_REJECTED, "bad request"},
    {401, 401, VERDICT_HOLD, "credentials are missing or wrong"},
    {402, 402, VERDICT_HOLD, "payment required"},
    {403, 403, VERDICT_HOLD, "not allowed"},
    {404, 404, VERDICT_HOLD, "no such path"},
    {405, 405, VERDICT_HOLD, "the path takes no POST"},
    {406, 406, VERDICT_HOLD, "not acceptable"},
    {407, 407, VERDICT_HOLD, "a proxy asks for credentials"},
    {408, 408, VERDICT_RETRY, "the server did not get the request in time"},
    {410, 410, VERDICT_HOLD, "the path is gone"},
    {411, 411, VERDICT_HOLD, "length required"},
    {413, 413, VERDICT_TOO_LARGE, "body too large"},
    {414, 414, VERDICT_HOLD, "url too long"},
    {415, 415, VERDICT_HOLD, "content type or encoding not supported"},
    {417, 417, VERDICT_HOLD, "expectation failed"},
    {421, 421, VERDICT_HOLD, "not a server for this host"},
    {422, 422, VERDICT_REJECTED, "cannot be processed"},
    {425, 425, VERDICT_RETRY, "too early"},
    {426, 426, VERDICT_HOLD, "another protocol is required"},
    {429, 429, VERDICT_RETRY, "too many requests"},
    {431, 431, VERDICT_HOLD, "headers too large"},
    {451, 451, VERDICT_HOLD, "refused for legal reasons"},
    {400, 499, VERDICT_REJECTED, "refused"},
    {500, 500, VERDICT_RETRY, "server error"},
    {502, 502, VERDICT_RETRY, "bad gateway"},
    {503, 503, VERDICT_RETRY, "unavailable"},
    {504, 504, VERDICT_RETRY, "gateway timeout"},
    {500, 599, VERDICT_RETRY, "server error"},
    {INT_MIN, INT_MAX, VERDICT_RETRY, "not a final status"},
    {0, 0, 0, NULL},
};

const struct http_verdict_row *http_verdict_rows(void)
{
    return rows;
}

static enum verdict on_silence(const struct http_answer *a, const struct err *e, struct err *why)
{
    *why = *e;
    if (a->refused_by_policy)
        return VERDICT_HOLD;
    switch (e->code) {
    case EINVAL: /* the request or the TLS options can never work */
        return VERDICT_HOLD;
    case ETIMEDOUT:
    case ECONNRESET: /* it was sent and may have arrived */
    case EMSGSIZE:
        return VERDICT_RETRY;
    default:
        return VERDICT_OFFLINE;
    }
}

enum verdict http_verdict(const struct http_answer *a, const struct err *e, struct err *why)
{
    const struct http_verdict_row *r = rows;

    if (a->status == 0)
        return on_silence(a, e, why);
    while (a->status < r->from || a->status > r->to)
        r++;
    if (r->verdict != VERDICT_DELIVERED)
        (void)err_set(why, EPROTO, "http status %d: %s", a->status, r->reason);
    return r->verdict;
}

enum verdict http_status_verdict(const struct http_answer *a, const struct err *e, struct batch *b)
{
    return http_verdict(a, e, &b->err);
}
