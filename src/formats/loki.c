/*
 * loki: the body of Grafana Loki's push API (docs/formats.md#loki). Records of one stream are
 * grouped under its labels:
 *
 *   {"streams":[{"stream":{"namespace":"shop","workload":"web","container":"main","node":"n1"},
 *                "values":[["1763633700000000000","hello"],["1763633701000000000","again"]]},…]}
 *
 * No annotation changes the labels. What is not known has no label; a stream of which nothing is
 * known has its hostname.
 *
 * View: head = a range's beginning.
 */
#include "formats/format_internal.h"

#define ALL_BUT_POD (~(1U << 2))
#define NS_DIGITS 9

static int begin_range(const struct formatter *f, struct buf *out)
{
    if (buf_add_str(out, out->len ? STR(",") : STR("{\"streams\":[")) < 0)
        return -1;
    return buf_add_str(out, f->head);
}

static int end(const struct formatter *f, struct buf *out)
{
    (void)f;
    return buf_add_str(out, STR("]}"));
}

/* Nanoseconds since the epoch, in digits. */
static size_t put_ns(char out[FORMAT_EPOCH_MAX + NS_DIGITS], struct str t)
{
    struct str fraction;
    size_t n = format_put_epoch(out, t, &fraction);

    memset(out + n, '0', NS_DIGITS);
    (void)format_put(out + n, fraction);
    return n + NS_DIGITS;
}

static int loki_add(const struct formatter *f, struct buf *out, const struct record *r,
                    struct str now, bool *cut)
{
    struct str msg = r->msg;
    char ns[FORMAT_EPOCH_MAX + NS_DIGITS], *d;
    size_t ns_len = put_ns(ns, format_time(r, now)), fixed = STR("[\"\",\"\"]").len + ns_len;
    size_t mark = r->flags & RECORD_CUT ? FORMAT_MARK_LEN : 0;
    bool first = out->len == 0 || out->p[out->len - 1] == '['; /* of its range */
    size_t len = fixed + format_json_fit(f, &msg, &mark, fixed, cut) + !first;

    if (buf_reserve(out, len) < 0)
        return -1;
    d = out->p + out->len;
    if (!first)
        *d++ = ',';
    d = format_put(d, STR("[\""));
    d = format_put(d, str_make(ns, ns_len));
    d = format_put(d, STR("\",\""));
    d = format_json_put(d, msg);
    d = format_put(d, str_make(FORMAT_MARK, mark));
    d = format_put(d, STR("\"]"));
    format_frame_end(f, out, d);
    return 0;
}

char *format_loki_lay_out(struct formatter *f, const struct identity *id)
{
    const struct {
        const char *name;
        struct str value;
    } labels[] = {{"namespace", id->namespace},
                  {"workload", identity_workload(id)},
                  {"pod", id->pod},
                  {"container", id->container},
                  {"node", id->node}}; /* in the order of FORMAT_LABELS */
    uint32_t set = f->o.labels ? f->o.labels : ALL_BUT_POD;
    char *first = format_put(f->text, STR("{\"stream\":")), *d = first;

    f->add = loki_add;
    f->begin_range = begin_range;
    f->end_range = f->end = end;
    for (size_t i = 0; i < ARRAY_LEN(labels); i++)
        if (set & 1U << i)
            d = format_put_known(d, labels[i].name, labels[i].value);
    if (d == first) /* there must be one */
        d = format_put_known(d, "hostname", id->hostname.len ? id->hostname : STR("unknown"));
    *first = '{'; /* in place of a comma */
    d = format_put(d, STR("},\"values\":["));
    f->head = str_make(f->text, (size_t)(d - f->text));
    return d;
}
