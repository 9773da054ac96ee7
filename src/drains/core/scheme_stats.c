/*
 * What the drains of one scheme do together: how long batches take, and why they fail. Per scheme
 * and not per drain, so that it costs few series; apart for workloads' drains, of which not
 * everybody may see how their peers answer. Plain integers of the worker.
 */
#include <errno.h>
#include <stdlib.h>

#include "drains/core/worker_internal.h"
#include "loop/dns.h"

const uint64_t scheme_bucket_ms[SEND_BUCKETS - 1] = {5, 25, 100, 500, 2500, 10000, 60000};

static const char *const error_names[DRAIN_ERRORS] = {
    [DRAIN_ERROR_DNS] = "dns",
    [DRAIN_ERROR_UNREACHABLE] = "unreachable",
    [DRAIN_ERROR_NOT_ALLOWED] = "not_allowed",
    [DRAIN_ERROR_TIMEOUT] = "timeout",
    [DRAIN_ERROR_DISCONNECTED] = "disconnected",
    [DRAIN_ERROR_PROTOCOL] = "protocol",
    [DRAIN_ERROR_HELD] = "held",
    [DRAIN_ERROR_BUSY] = "busy",
    [DRAIN_ERROR_REJECTED] = "rejected",
    [DRAIN_ERROR_OTHER] = "other",
};

const char *drain_error_name(enum drain_error error)
{
    return error_names[error];
}

struct scheme_stats *scheme_stats_of(struct worker *wk, const struct drain_spec *spec)
{
    struct scheme_stats *st;

    list_for_each (it, &wk->schemes) {
        st = list_entry(it, struct scheme_stats, node);
        if (st->scheme == spec->scheme && st->owner == spec->owner)
            return st;
    }
    st = xcalloc(1, sizeof(*st));
    st->scheme = spec->scheme;
    st->owner = spec->owner;
    list_add_tail(&wk->schemes, &st->node);
    return st;
}

void scheme_stats_release(struct worker *wk)
{
    list_for_each_safe (it, &wk->schemes) {
        list_del(it);
        free(list_entry(it, struct scheme_stats, node));
    }
}

void scheme_took(struct drain *d, uint64_t ms)
{
    unsigned i = 0;

    while (i < SEND_BUCKETS - 1 && ms > scheme_bucket_ms[i])
        i++;
    d->stats->counters.sends[i]++;
    d->stats->counters.send_ms += ms;
}

static enum drain_error by_code(int code)
{
    switch (code) {
    case DNS_NO_ADDRESS:
        return DRAIN_ERROR_DNS;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETUNREACH:
    case ENETDOWN:
        return DRAIN_ERROR_UNREACHABLE;
    case EACCES:
    case EPERM:
        return DRAIN_ERROR_NOT_ALLOWED;
    case ETIMEDOUT:
        return DRAIN_ERROR_TIMEOUT;
    case 0:
    case ECONNABORTED:
    case ECONNRESET:
    case EPIPE:
        return DRAIN_ERROR_DISCONNECTED;
    case EPROTO:
        return DRAIN_ERROR_PROTOCOL;
    default:
        return DRAIN_ERROR_OTHER;
    }
}

void scheme_failed(struct drain *d, enum verdict v, const struct err *e)
{
    enum drain_error error = by_code(e->code);

    if (v == VERDICT_REJECTED || v == VERDICT_TOO_LARGE)
        error = DRAIN_ERROR_REJECTED;
    else if (v == VERDICT_HOLD && error != DRAIN_ERROR_NOT_ALLOWED)
        error = DRAIN_ERROR_HELD;
    else if (v == VERDICT_RETRY && error == DRAIN_ERROR_PROTOCOL)
        error = DRAIN_ERROR_BUSY;
    d->stats->counters.errors[error]++;
}
