/* See envoy_entry.h. Names and numbers of fields: envoy.proto. */
#include "inputs/envoy_entry.h"

#include <inttypes.h>

#include "base/limits.h"
#include "envoy.pb-c.h"
#include "inputs/journals.h"
#include "streams/identity.h"

#define PROXY_JSON_MAX 4096
#define PRI_USER_INFO 14

typedef Logtrain__Als__AccessLogCommon common_t;
typedef Logtrain__Als__HTTPRequestProperties request_t;
typedef Logtrain__Als__HTTPResponseProperties response_t;
typedef Logtrain__Als__TLSProperties tls_t;

static struct str text(ProtobufCBinaryData b)
{
    return str_make((const char *)b.data, b.len);
}

/* ---- life cycle ---- */

void envoy_proxy_init(struct envoy_proxy *p)
{
    buf_init(&p->hostname, HOSTNAME_MAX);
    buf_init(&p->json, PROXY_JSON_MAX);
}

void envoy_proxy_release(struct envoy_proxy *p)
{
    buf_release(&p->hostname);
    buf_release(&p->json);
}

void envoy_decoder_init(struct envoy_decoder *d, enum envoy_format format, bool akkeris,
                        size_t max_line)
{
    d->format = format;
    d->akkeris = akkeris;
    arena_init(&d->arena, ENVOY_UNPACK_MAX);
    buf_init(&d->msg, max_line);
    buf_init(&d->hostname, HOSTNAME_MAX);
}

void envoy_decoder_release(struct envoy_decoder *d)
{
    arena_release(&d->arena);
    buf_release(&d->msg);
    buf_release(&d->hostname);
}

void envoy_done(struct envoy_decoder *d)
{
    arena_rewind(&d->arena, (struct arena_mark){NULL, 0});
}

/* ---- hostname ---- */

/* The part of <s> after the <n>th '|'; false when there are fewer. */
static bool part_after(struct str s, unsigned n, struct str *out)
{
    for (; n; n--) {
        ptrdiff_t at = str_find(s, '|');

        if (at < 0)
            return false;
        s = str_skip(s, (size_t)at + 1);
    }
    *out = s;
    return true;
}

static int add_service(struct buf *out, struct str name, struct str namespace, bool akkeris)
{
    buf_clear(out);
    if (!name.len || !namespace.len || buf_add_str(out, name) < 0 ||
        buf_add_ch(out, akkeris ? '-' : '.') < 0)
        return -1;
    return buf_add_str(out, namespace);
}

/* "web.shop" and "web.shop.svc.cluster.local" → "web.shop", with Akkeris' names "web-shop". False:
 * it names no service of a namespace. A host outside of the cluster may have any name, so its first
 * two parts are not used. */
static bool set_service(struct buf *out, struct str host, bool akkeris)
{
    struct str rest = host, name, namespace, svc;

    return str_cut(&rest, '.', &name) && str_cut(&rest, '.', &namespace) &&
           (!str_cut(&rest, '.', &svc) || str_eq(svc, STR("svc"))) &&
           add_service(out, name, namespace, akkeris) == 0;
}

/* Istio's names for traffic to an unknown destination. */
static bool is_nobody(struct str cluster)
{
    return str_eq(cluster, STR("BlackHoleCluster")) || str_eq(cluster, STR("PassthroughCluster")) ||
           str_starts(cluster, STR("InboundPassthroughCluster"));
}

/* Istio's clusters are "outbound|<port>|<subset>|<host>", and "inbound|<port>||" on the workload's
 * own side. A name without a '|', and a host outside of the cluster, is used as it is. */
static bool set_hostname(struct buf *out, struct str cluster, bool akkeris)
{
    struct str host = cluster;

    if (part_after(cluster, 3, &host)) {
        ptrdiff_t more = str_find(host, '|');

        host = more < 0 ? host : str_head(host, (size_t)more);
        if (set_service(out, host, akkeris))
            return true;
    }
    buf_clear(out);
    return host.len && str_find(host, '|') < 0 && !is_nobody(host) && buf_add_str(out, host) == 0;
}

/* Istio's node id is "sidecar~<ip>~<pod>.<namespace>~<domain>". */
static bool set_pod_owner(struct buf *out, struct str id, bool akkeris)
{
    struct str part = STR(""), rest = id, name;
    ptrdiff_t dot;

    for (int i = 0; i < 3; i++)
        if (!str_cut(&rest, '~', &part))
            return false;
    if (!rest.len)
        return false;
    dot = str_rfind(part, '.');
    if (dot <= 0 || (size_t)dot + 1 == part.len)
        return false;
    name = identity_guess_owner(str_head(part, (size_t)dot));
    return add_service(out, name, str_skip(part, (size_t)dot + 1), akkeris) == 0;
}

/* Exactly "web.shop": Istio derives it from a label, which may contain dots. */
static bool set_node_cluster(struct buf *out, struct str cluster, bool akkeris)
{
    ptrdiff_t dot = str_find(cluster, '.');

    return dot > 0 && str_rfind(cluster, '.') == dot && set_service(out, cluster, akkeris);
}

static void know_proxy(const struct envoy_decoder *d, const Logtrain__Als__Identifier *id,
                       struct envoy_proxy *proxy, struct arena *a)
{
    if (id->node && !set_pod_owner(&proxy->hostname, text(id->node->id), d->akkeris) &&
        !set_node_cluster(&proxy->hostname, text(id->node->cluster), d->akkeris))
        buf_clear(&proxy->hostname);
    if (!journal_hostname_valid(buf_str(&proxy->hostname)))
        buf_clear(&proxy->hostname);
    buf_clear(&proxy->json);
    if (d->format == ENVOY_JSON && (envoy_json_fields(&proxy->json, &id->base, a) < 0 ||
                                    (proxy->json.len && buf_add_ch(&proxy->json, ',') < 0)))
        buf_clear(&proxy->json);
}

/* ---- text ---- */

/* Adds a value; bytes that would end the line, and invisible ones, become spaces. */
static int add_value(struct buf *out, struct str s)
{
    size_t at = out->len;

    if (buf_add_str(out, s) < 0)
        return -1;
    for (; at < out->len; at++)
        if ((unsigned char)out->p[at] < ' ' || out->p[at] == 0x7f)
            out->p[at] = ' ';
    return 0;
}

static int add_key(struct buf *out, const char *key, struct str value)
{
    return buf_addf(out, "%s%s=", out->len ? " " : "", key) < 0 ? -1 : add_value(out, value);
}

static int add_number(struct buf *out, const char *key, uint64_t n)
{
    return buf_addf(out, "%s%s=%" PRIu64, out->len ? " " : "", key, n);
}

static int add_duration(struct buf *out, const char *key, const Logtrain__Als__Duration *d)
{
    double ms = d ? (double)d->seconds * 1e3 + (double)d->nanos / 1e6 : 1.0;

    return buf_addf(out, " %s=%.2fms", key, ms);
}

static const char *enum_name(const ProtobufCEnumDescriptor *type, int value)
{
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(type, value);

    return v ? v->name : "UNKNOWN";
}

static int add_tls(struct buf *out, const tls_t *tls)
{
    if (!tls)
        return 0;
    return add_key(out, "tls",
                   str_of(enum_name(&logtrain__als__tlsproperties__tlsversion__descriptor,
                                    (int)tls->tls_version)));
}

static int add_times(struct buf *out, const common_t *c)
{
    if (add_duration(out, "connect", c->time_to_last_upstream_tx_byte) < 0 ||
        add_duration(out, "service", c->time_to_last_upstream_rx_byte) < 0)
        return -1;
    return add_duration(out, "total", c->time_to_last_downstream_tx_byte);
}

static int add_request(struct buf *out, const request_t *q, const tls_t *tls)
{
    if (add_key(out, "method",
                str_of(enum_name(&logtrain__als__httprequest_properties__request_method__descriptor,
                                 (int)q->request_method))) < 0 ||
        add_key(out, "request_id", text(q->request_id)) < 0 ||
        add_key(out, "fwd", text(q->forwarded_for)) < 0 ||
        add_key(out, "authority", text(q->authority)) < 0)
        return -1;
    if (!tls)
        return 0;
    if (add_key(out, "origin", STR("https://")) < 0 ||
        add_value(out, text(tls->tls_sni_hostname)) < 0)
        return -1;
    return add_value(out, text(q->original_path));
}

static int add_protocol(struct buf *out, int version)
{
    size_t at = out->len + sizeof("protocol=");

    if (add_key(out, "protocol",
                str_of(enum_name(&logtrain__als__httpaccess_log_entry__httpversion__descriptor,
                                 version))) < 0)
        return -1;
    for (; at < out->len; at++)
        if (out->p[at] >= 'A' && out->p[at] <= 'Z')
            out->p[at] = (char)(out->p[at] - 'A' + 'a');
    return 0;
}

/* What the client saw: an answer, or that it disconnected before one (nginx' 499). */
static uint64_t status_of(const common_t *c, const response_t *a)
{
    if (a->response_code)
        return a->response_code->value;
    return c->response_flags && c->response_flags->downstream_connection_termination ? 499 : 0;
}

static int http_text(struct buf *out, const Logtrain__Als__HTTPAccessLogEntry *e, const common_t *c)
{
    const request_t none_asked = LOGTRAIN__ALS__HTTPREQUEST_PROPERTIES__INIT;
    const response_t none_answered = LOGTRAIN__ALS__HTTPRESPONSE_PROPERTIES__INIT;
    const request_t *q = e->request ? e->request : &none_asked;
    const response_t *a = e->response ? e->response : &none_answered;
    uint64_t in = q->request_headers_bytes + q->request_body_bytes;
    uint64_t sent = a->response_headers_bytes + a->response_body_bytes;

    if (add_number(out, "bytes", in + sent) < 0 || add_number(out, "request_size", in) < 0 ||
        add_number(out, "response_size", sent) < 0 || add_request(out, q, c->tls_properties) < 0 ||
        add_protocol(out, (int)e->protocol_version) < 0 || add_tls(out, c->tls_properties) < 0 ||
        add_number(out, "status", status_of(c, a)) < 0 || add_times(out, c) < 0)
        return -1;
    return add_key(out, "path", text(q->path));
}

static struct str address_of(const Logtrain__Als__Address *a)
{
    const ProtobufCBinaryData none = {0, NULL};

    return text(a && a->address_case == LOGTRAIN__ALS__ADDRESS__ADDRESS_SOCKET_ADDRESS
                    ? a->socket_address->address
                    : none);
}

/* The original had no TCP entries: the same keys, where there is a value. */
static int tcp_text(struct buf *out, const Logtrain__Als__TCPAccessLogEntry *e, const common_t *c)
{
    const Logtrain__Als__ConnectionProperties none = LOGTRAIN__ALS__CONNECTION_PROPERTIES__INIT;
    const Logtrain__Als__ConnectionProperties *p =
        e->connection_properties ? e->connection_properties : &none;

    if (add_number(out, "bytes", p->received_bytes + p->sent_bytes) < 0 ||
        add_number(out, "request_size", p->received_bytes) < 0 ||
        add_number(out, "response_size", p->sent_bytes) < 0 ||
        add_key(out, "fwd", address_of(c->downstream_remote_address)) < 0)
        return -1;
    if (c->tls_properties &&
        add_key(out, "authority", text(c->tls_properties->tls_sni_hostname)) < 0)
        return -1;
    if (add_key(out, "protocol", STR("tcp")) < 0 || add_tls(out, c->tls_properties) < 0)
        return -1;
    return add_times(out, c);
}

/* ---- messages and entries ---- */

/* protobuf-c gives no cause: when the arena's limit was reached, it was that. */
static enum envoy_opened why_not(const struct envoy_decoder *d, size_t bytes)
{
    return d->arena.failed || bytes > ENVOY_UNPACK_MAX ? ENVOY_TOO_LARGE : ENVOY_MALFORMED;
}

enum envoy_opened envoy_open(struct envoy_decoder *d, struct str bytes, struct envoy_proxy *proxy,
                             struct envoy_message *m)
{
    const Logtrain__Als__StreamAccessLogsMessage *msg;
    const Logtrain__Als__Entries *entries;

    envoy_done(d);
    msg = logtrain__als__stream_access_logs_message__unpack(&d->arena.allocator, bytes.len,
                                                            (const uint8_t *)bytes.p);
    if (!msg)
        return why_not(d, bytes.len);
    if (msg->identifier)
        know_proxy(d, msg->identifier, proxy, &d->arena);
    entries = msg->http_logs ? msg->http_logs : msg->tcp_logs;
    m->kind = msg->http_logs ? ENVOY_HTTP : ENVOY_TCP;
    m->entries = entries ? entries->log_entry : NULL;
    m->n = entries ? entries->n_log_entry : 0;
    return ENVOY_OPENED;
}

static int lay_out(struct envoy_decoder *d, const ProtobufCMessage *e, enum envoy_kind kind,
                   const common_t *c, const struct envoy_proxy *proxy)
{
    buf_clear(&d->msg);
    if (d->format == ENVOY_JSON) {
        if (buf_add_ch(&d->msg, '{') < 0 || buf_add_str(&d->msg, buf_str(&proxy->json)) < 0 ||
            envoy_json_fields(&d->msg, e, &d->arena) < 0)
            return -1;
        return buf_add_ch(&d->msg, '}');
    }
    if (kind == ENVOY_HTTP)
        return http_text(&d->msg, (const Logtrain__Als__HTTPAccessLogEntry *)e, c);
    return tcp_text(&d->msg, (const Logtrain__Als__TCPAccessLogEntry *)e, c);
}

enum envoy_opened envoy_entry(struct envoy_decoder *d, const struct envoy_message *m, size_t i,
                              const struct envoy_proxy *proxy, struct journal_entry *out)
{
    const common_t nothing = LOGTRAIN__ALS__ACCESS_LOG_COMMON__INIT;
    const ProtobufCMessageDescriptor *type = m->kind == ENVOY_HTTP
                                                 ? &logtrain__als__httpaccess_log_entry__descriptor
                                                 : &logtrain__als__tcpaccess_log_entry__descriptor;
    const ProtobufCBinaryData *bytes = &m->entries[i];
    const struct arena_mark before = arena_mark(&d->arena);
    const ProtobufCMessage *e =
        protobuf_c_message_unpack(type, &d->arena.allocator, bytes->len, bytes->data);
    const common_t *c;

    if (!e) {
        enum envoy_opened why = why_not(d, bytes->len);

        arena_rewind(&d->arena, before);
        return why;
    }
    c = m->kind == ENVOY_HTTP ? ((const Logtrain__Als__HTTPAccessLogEntry *)e)->common_properties
                              : ((const Logtrain__Als__TCPAccessLogEntry *)e)->common_properties;
    c = c ? c : &nothing;
    if (!set_hostname(&d->hostname, text(c->upstream_cluster), d->akkeris) ||
        !journal_hostname_valid(buf_str(&d->hostname))) {
        buf_clear(&d->hostname);
        (void)buf_add_str(&d->hostname, buf_str(&proxy->hostname)); /* of the same size */
    }
    *out = (struct journal_entry){
        .hostname = buf_str(&d->hostname),
        .time = c->start_time ? envoy_time(d->time, c->start_time->seconds, c->start_time->nanos)
                              : STR(""), /* now */
        .syslog = {.tag = d->akkeris ? STR("akkeris/router") : STR("envoy"), .pri = PRI_USER_INFO},
    };
    out->cut = lay_out(d, e, m->kind, c, proxy) < 0;
    out->msg = buf_str(&d->msg);
    arena_rewind(&d->arena, before);
    return ENVOY_OPENED;
}
