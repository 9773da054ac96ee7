/*
 * datadog, newrelic, splunk: an object for each record, as these intakes want it
 * (docs/formats.md#intakes). All have the same order: what is known of the stream, the time, the
 * message, the severity, then what else the record says of itself.
 *
 *   datadog   [{"ddsource":…,"ddtags":…,"hostname":…,"service":…,"timestamp":1763633700123,
 *               "message":"hello","status":"info","stream":"stdout"},…]
 *   newrelic  [{"common":{"attributes":{…}},"logs":[{"timestamp":1763633700123,"message":"hello",
 *               "attributes":{"level":"info","stream":"stdout"}},…]},…]
 *   splunk    {"host":…,"source":…,"sourcetype":…,"time":1763633700.123456,"event":"hello",
 *               "fields":{…,"severity":"info","stream":"stdout"}}
 *
 * Views: head = up to the time (newrelic: a range's beginning); mid = from there to the message;
 * tail = from there to the severity.
 */
#include "formats/format_internal.h"

#define MILLISECONDS 3
#define MICROSECONDS 6
#define TIME_MAX (FORMAT_EPOCH_MAX + 1 + MICROSECONDS)
#define ID_KEY STR(",\"id\":\"")
#define STREAM_KEY STR(",\"stream\":\"std")
#define NEWRELIC_HEAD STR("{\"timestamp\":")

static bool in_streams(const struct formatter *f)
{
    return f->o.format == FORMAT_NEWRELIC;
}

static size_t put_time(const struct formatter *f, char out[TIME_MAX], struct str t)
{
    struct str fraction;
    size_t n = format_put_epoch(out, t, &fraction);

    if (f->o.format == FORMAT_SPLUNK) {
        if (fraction.len == 0)
            return n;
        out[n++] = '.';
        return (size_t)(format_put(out + n, str_head(fraction, MICROSECONDS)) - out);
    }
    memset(out + n, '0', MILLISECONDS);
    (void)format_put(out + n, str_head(fraction, MILLISECONDS));
    return n + MILLISECONDS;
}

/* What else a record says of itself, and the end. */
static size_t rest_len(const struct formatter *f, const struct record *r, size_t id_len)
{
    size_t len = r->syslog ? format_received_len(r, true, "") : STREAM_KEY.len + strlen("out\"");

    return 1 + len + (f->o.sd ? ID_KEY.len + id_len + 1 : 0) +
           (f->o.format == FORMAT_DATADOG ? 1 : 2);
}

static char *put_rest(char *d, const struct formatter *f, const struct record *r, struct str id)
{
    *d++ = '"';
    if (r->syslog) {
        d = format_received_put(d, r, true, "");
    } else {
        d = format_put(d, STREAM_KEY);
        d = format_put(d, r->fd == RECORD_STDERR ? STR("err\"") : STR("out\""));
    }
    if (f->o.sd) {
        d = format_put(d, ID_KEY);
        d = format_put(d, id);
        *d++ = '"';
    }
    return format_put(d, f->o.format == FORMAT_DATADOG ? STR("}") : STR("}}"));
}

static int intake_add(const struct formatter *f, struct buf *out, const struct record *r,
                      struct str now, bool *cut)
{
    char time[TIME_MAX], id[FORMAT_ID_MAX], *d;
    size_t time_len = put_time(f, time, format_time(r, now));
    size_t id_len = f->o.sd ? format_id(id, r) : 0;
    size_t mark = r->flags & RECORD_CUT ? FORMAT_MARK_LEN : 0, fixed, len;
    struct str head = in_streams(f) ? NEWRELIC_HEAD : f->head, msg = r->msg;
    struct str severity = str_of(format_severity_name(r));
    bool comma = in_streams(f) && out->len && out->p[out->len - 1] != '[';

    if (f->o.format == FORMAT_SPLUNK && format_is_blank(msg))
        msg = STR("-");
    fixed = head.len + time_len + f->mid.len + f->tail.len + severity.len + rest_len(f, r, id_len);
    len = fixed + format_json_fit(f, &msg, &mark, fixed, cut);
    if (msg.len == 0 && f->o.format == FORMAT_SPLUNK) { /* `max` leaves no room */
        msg = STR("-");
        len++;
    }
    if (buf_reserve(out, comma + format_frame_len(f, len) + len) < 0)
        return -1;
    d = format_frame_begin(f, out, len);
    if (comma)
        *d++ = ',';
    d = format_put(d, head);
    d = format_put(d, str_make(time, time_len));
    d = format_put(d, f->mid);
    d = format_json_put(d, msg);
    d = format_put(d, str_make(FORMAT_MARK, mark));
    d = format_put(d, f->tail);
    d = format_put(d, severity);
    d = put_rest(d, f, r, str_make(id, id_len));
    format_frame_end(f, out, d);
    return 0;
}

/* ---- what is known of the stream ---- */

static struct str node_of(const struct identity *id)
{
    return id->node.len ? id->node : id->hostname.len ? id->hostname : STR("unknown");
}

/* Ends the text of the three views; what is between them is <mid> and <tail>. */
static char *lay_out(struct formatter *f, char *d, struct str mid, struct str tail)
{
    char *at = d;

    f->add = intake_add;
    d = format_put(d, mid);
    f->mid = str_make(at, (size_t)(d - at));
    at = d;
    d = format_put(d, tail);
    f->tail = str_make(at, (size_t)(d - at));
    return d;
}

static char *put_tag(char *d, const char *first, const char *key, struct str value)
{
    if (value.len == 0)
        return d;
    if (d != first)
        *d++ = ',';
    if (*key) {
        d = format_put(d, str_of(key));
        *d++ = ':';
    }
    return format_json_put(d, value);
}

char *format_datadog_lay_out(struct formatter *f, const struct identity *id)
{
    char *d = format_put(f->text, STR("{\"ddsource\":\"")), *tags;

    d = format_json_put(d, f->o.source.len ? f->o.source : STR("logtrain"));
    d = format_put(d, STR("\",\"ddtags\":\""));
    tags = d;
    d = put_tag(d, tags, "kube_namespace", id->namespace);
    d = put_tag(d, tags, "pod_name", id->pod);
    d = put_tag(d, tags, "kube_container_name", id->container);
    d = put_tag(d, tags, "", f->o.tags);
    *d++ = '"';
    d = format_put_known(d, "hostname", node_of(id));
    d = format_put_known(d, "service", f->o.service.len ? f->o.service : identity_workload(id));
    d = format_put(d, STR(",\"timestamp\":"));
    f->head = str_make(f->text, (size_t)(d - f->text));
    return lay_out(f, d, STR(",\"message\":\""), STR("\",\"status\":\""));
}

char *format_splunk_lay_out(struct formatter *f, const struct identity *id)
{
    char *d = f->text, *at;
    bool container = id->container.len && !f->o.sourcetype.len;

    d = format_put_known(d, "host", node_of(id));
    *f->text = '{'; /* in place of a comma */
    d = format_put_known(d, "source", f->o.source.len ? f->o.source : id->hostname);
    d = format_put(d, STR(",\"sourcetype\":\""));
    if (container)
        d = format_put(d, STR("kube:container:"));
    d = format_json_put(d, container             ? id->container
                           : f->o.sourcetype.len ? f->o.sourcetype
                                                 : STR("syslog"));
    *d++ = '"';
    d = format_put_known(d, "index", f->o.index);
    d = format_put(d, STR(",\"time\":"));
    f->head = str_make(f->text, (size_t)(d - f->text));
    d = lay_out(f, d, STR(",\"event\":\""), STR("\",\"fields\":"));
    at = d;
    d = format_put_known(d, "namespace", id->namespace);
    d = format_put_known(d, "workload", identity_workload(id));
    d = format_put_known(d, "pod", id->pod);
    d = format_put_known(d, "container", id->container);
    d = format_put(d, STR(",\"severity\":\""));
    *at = '{'; /* in place of a comma */
    f->tail = str_make(f->tail.p, (size_t)(d - f->tail.p));
    return d;
}

static int newrelic_begin_range(const struct formatter *f, struct buf *out)
{
    if (buf_add_ch(out, out->len ? ',' : '[') < 0)
        return -1;
    return buf_add_str(out, f->head);
}

static int newrelic_end_range(const struct formatter *f, struct buf *out)
{
    (void)f;
    return buf_add_str(out, STR("]}"));
}

static int newrelic_end(const struct formatter *f, struct buf *out)
{
    (void)f;
    return buf_add_ch(out, ']');
}

char *format_newrelic_lay_out(struct formatter *f, const struct identity *id)
{
    char *first = format_put(f->text, STR("{\"common\":{\"attributes\":")), *d = first;

    f->begin_range = newrelic_begin_range;
    f->end_range = newrelic_end_range;
    f->end = newrelic_end;
    d = format_put_known(d, "hostname", node_of(id));
    *first = '{'; /* in place of a comma */
    d = format_put_known(d, "service.name",
                         f->o.service.len ? f->o.service : identity_workload(id));
    d = format_put_known(d, "namespace_name", id->namespace);
    d = format_put_known(d, "pod_name", id->pod);
    d = format_put_known(d, "container_name", id->container);
    d = format_put(d, STR("}},\"logs\":["));
    f->head = str_make(f->text, (size_t)(d - f->text));
    return lay_out(f, d, STR(",\"message\":\""), STR("\",\"attributes\":{\"level\":\""));
}
