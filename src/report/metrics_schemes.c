/*
 * What all drains of a scheme do together: how long batches take, and why they fail.
 */
#include <inttypes.h>

#include "report/metrics_internal.h"

#define LATENCY "logtrain_send_duration_seconds"
#define ERRORS "logtrain_errors_by_class_total"

/* {scheme="https",source="operator" */
static int add_scheme_labels(struct buf *out, const char *name, const struct scheme_report *r)
{
    return buf_addf(out, "%s{scheme=\"%s\",source=\"%s\"", name, r->scheme,
                    r->owner ? "workload" : "operator");
}

static int add_histogram(struct buf *out, const struct scheme_report *r)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < SEND_BUCKETS; i++) {
        n += r->counters.sends[i];
        if (add_scheme_labels(out, LATENCY "_bucket", r) < 0)
            return -1;
        if ((i < SEND_BUCKETS - 1 ? buf_addf(out, ",le=\"%g\"}", (double)scheme_bucket_ms[i] / 1000)
                                  : buf_addf(out, ",le=\"+Inf\"}")) < 0 ||
            metrics_add_value(out, n, 1) < 0)
            return -1;
    }
    if (add_scheme_labels(out, LATENCY "_sum", r) < 0 || buf_add_ch(out, '}') < 0 ||
        metrics_add_value(out, r->counters.send_ms, 1000) < 0 ||
        add_scheme_labels(out, LATENCY "_count", r) < 0 || buf_add_ch(out, '}') < 0)
        return -1;
    return metrics_add_value(out, n, 1);
}

static int add_errors(struct buf *out, const struct scheme_report *r)
{
    for (unsigned i = 0; i < DRAIN_ERRORS; i++)
        if (add_scheme_labels(out, ERRORS, r) < 0 ||
            buf_addf(out, ",class=\"%s\"}", drain_error_name(i)) < 0 ||
            metrics_add_value(out, r->counters.errors[i], 1) < 0)
            return -1;
    return 0;
}

int metrics_add_schemes(struct buf *out, const struct snapshot *s)
{
    if (metrics_add_head(out, LATENCY, "Time from handing a batch over until the peer took it",
                         "histogram") < 0)
        return -1;
    for (unsigned i = 0; i < s->nschemes; i++)
        if (add_histogram(out, &s->schemes[i]) < 0)
            return -1;
    if (metrics_add_head(out, ERRORS, "Failures to send, and records refused, by cause", COUNTER) <
        0)
        return -1;
    for (unsigned i = 0; i < s->nschemes; i++)
        if (add_errors(out, &s->schemes[i]) < 0)
            return -1;
    return 0;
}
