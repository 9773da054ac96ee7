/*
 * otlp-json: what otlp.c writes, as JSON, and the names that both have in common
 * (docs/formats.md#otlp).
 *
 *   {"resourceLogs":[{"resource":{"attributes":[…]},"scopeLogs":[{"scope":{"name":"logtrain"},
 *     "logRecords":[{"timeUnixNano":"1763633700123456789","observedTimeUnixNano":"…",
 *       "severityNumber":9,"severityText":"info","attributes":[…],
 *       "body":{"stringValue":"hello"}},…]}]},…]}
 *
 * View: head = a range's beginning, up to the first record.
 */
#include "formats/otlp.h"

/* What is around the values of a record, and around key and value of an attribute. */
#define RECORD                                                                                     \
    STR("{\"timeUnixNano\":\"\",\"observedTimeUnixNano\":\"\",\"severityNumber\":,"                \
        "\"severityText\":\"\",\"attributes\":[],\"body\":{\"stringValue\":\"\"}}")
#define ATTRIBUTE STR("{\"key\":\"\",\"value\":{\"stringValue\":\"\"}}")

/* ---- names ---- */

static size_t add(struct otlp_attribute *out, size_t n, struct str key, struct str value)
{
    if (value.len == 0)
        return n;
    out[n] = (struct otlp_attribute){key, value, format_utf8_len(value)};
    return n + 1;
}

size_t otlp_resource(const struct formatter *f, const struct identity *id,
                     struct otlp_attribute out[OTLP_RESOURCE_MAX])
{
    size_t n = 0;

    n = add(out, n, STR("service.name"), f->o.service.len ? f->o.service : identity_service(id));
    n = add(out, n, STR("k8s.namespace.name"), id->namespace);
    n = add(out, n, STR("k8s.pod.name"), id->pod);
    n = add(out, n, STR("k8s.pod.uid"), id->uid);
    n = add(out, n, STR("k8s.container.name"), id->container);
    n = add(out, n, STR("k8s.node.name"), id->node);
    if (id->pod.len == 0)
        n = add(out, n, STR("host.name"), id->hostname);
    return n;
}

size_t otlp_attributes(const struct formatter *f, const struct record *r,
                       struct otlp_attribute out[OTLP_ATTRIBUTES_MAX], char id[FORMAT_ID_MAX])
{
    const struct record_syslog *s = r->syslog;
    size_t n = 0;

    if (s) {
        n = add(out, n, STR("tag"), s->tag);
        n = add(out, n, STR("procid"), s->procid);
        n = add(out, n, STR("msgid"), s->msgid);
        n = add(out, n, STR("structured_data"), s->sd);
    } else {
        n = add(out, n, STR("log.iostream"),
                r->fd == RECORD_STDERR ? STR("stderr") : STR("stdout"));
    }
    if (f->o.sd)
        n = add(out, n, STR("log.record.uid"), str_make(id, format_id(id, r)));
    return n;
}

unsigned otlp_severity(const struct record *r)
{
    /* from 0, an emergency, as OpenTelemetry's data model maps syslog's */
    static const unsigned char numbers[8] = {21, 19, 18, 17, 13, 10, 9, 5};

    return numbers[format_severity(r)];
}

/* ---- JSON ---- */

static char *put_number(char *d, uint64_t n)
{
    size_t digits = format_digits(n);

    for (size_t i = digits; i > 0; i--, n /= 10)
        d[i - 1] = (char)('0' + n % 10);
    return d + digits;
}

static char *put_attributes(char *d, const struct otlp_attribute *a, size_t n)
{
    d = format_put(d, STR("\"attributes\":["));
    for (size_t i = 0; i < n; i++) {
        d = format_put(d, i ? STR(",{\"key\":\"") : STR("{\"key\":\""));
        d = format_put(d, a[i].key);
        d = format_put(d, STR("\",\"value\":{\"stringValue\":\""));
        d = format_json_put(d, a[i].value);
        d = format_put(d, STR("\"}}"));
    }
    return format_put(d, STR("]"));
}

/* ... between the brackets. */
static size_t attributes_len(const struct otlp_attribute *a, size_t n)
{
    size_t len = n ? n - 1 : 0, used; /* commas */

    for (size_t i = 0; i < n; i++)
        len += ATTRIBUTE.len + a[i].key.len + format_json_measure(a[i].value, SIZE_MAX, &used);
    return len;
}

static int begin_range(const struct formatter *f, struct buf *out)
{
    if (buf_add_str(out, out->len ? STR(",") : STR("{\"resourceLogs\":[")) < 0)
        return -1;
    return buf_add_str(out, f->head);
}

static int end_range(const struct formatter *f, struct buf *out)
{
    (void)f;
    return buf_add_str(out, STR("]}]}"));
}

static int end(const struct formatter *f, struct buf *out)
{
    (void)f;
    return buf_add_str(out, STR("]}"));
}

static int otlp_json_add(const struct formatter *f, struct buf *out, const struct record *r,
                         struct str now, bool *cut)
{
    struct otlp_attribute attributes[OTLP_ATTRIBUTES_MAX];
    char id[FORMAT_ID_MAX], *d;
    size_t n = otlp_attributes(f, r, attributes, id);
    size_t mark = r->flags & RECORD_CUT ? FORMAT_MARK_LEN : 0, fixed;
    uint64_t time = r->time.len ? format_ns(r->time) : 0, observed = format_ns(now);
    struct str severity = str_of(format_severity_name(r)), msg = r->msg;
    bool first = out->len == 0 || out->p[out->len - 1] == '['; /* of its range */

    fixed = RECORD.len + format_digits(time) + format_digits(observed) +
            format_digits(otlp_severity(r)) + severity.len + attributes_len(attributes, n);
    if (buf_reserve(out, fixed + format_json_fit(f, &msg, &mark, fixed, cut) + !first) < 0)
        return -1;
    d = out->p + out->len;
    if (!first)
        *d++ = ',';
    d = format_put(d, STR("{\"timeUnixNano\":\""));
    d = put_number(d, time);
    d = format_put(d, STR("\",\"observedTimeUnixNano\":\""));
    d = put_number(d, observed);
    d = format_put(d, STR("\",\"severityNumber\":"));
    d = put_number(d, otlp_severity(r));
    d = format_put(d, STR(",\"severityText\":\""));
    d = format_put(d, severity);
    d = format_put(d, STR("\","));
    d = put_attributes(d, attributes, n);
    d = format_put(d, STR(",\"body\":{\"stringValue\":\""));
    d = format_json_put(d, msg);
    d = format_put(d, str_make(FORMAT_MARK, mark));
    d = format_put(d, STR("\"}}"));
    format_frame_end(f, out, d);
    return 0;
}

char *format_otlp_json_lay_out(struct formatter *f, const struct identity *id)
{
    struct otlp_attribute known[OTLP_RESOURCE_MAX];
    size_t n = otlp_resource(f, id, known);
    char *d = format_put(f->text, STR("{\"resource\":{"));

    f->add = otlp_json_add;
    f->begin_range = begin_range;
    f->end_range = end_range;
    f->end = end;
    d = put_attributes(d, known, n);
    d = format_put(d, STR("},\"scopeLogs\":[{\"scope\":{\"name\":\"logtrain\"},\"logRecords\":["));
    f->head = str_make(f->text, (size_t)(d - f->text));
    return d;
}
