/* See http.h. A request is a struct post from its headers to its answer. */
#include "inputs/http.h"

#include <errno.h>
#include <stdlib.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/log.h"
#include "base/log_quota.h"
#include "base/mem.h"
#include "inputs/bearer.h"
#include "inputs/inflate.h"
#include "inputs/journals.h"
#include "inputs/packets.h"
#include "inputs/received.h"
#include "inputs/syslog_frame.h"
#include "inputs/syslog_parse.h"

#define ELEMENT_MAX 256
#define RETRY_FULL "5" /* seconds: there is room only after drains have read */
#define RETRY_BUSY "1"
#define TYPE "text/plain; charset=utf-8"
#define TOO_MUCH "too many requests at a time"

struct http_input {
    struct input base;
    const char *name;
    enum http_input_kind kind;
    struct http_server *server;
    struct http_sink sink;
    size_t max_line;
    struct journal_source *source;
    struct input_counters counters;
    struct bearer bearer;
    struct syslog_parser parser;
    struct list posts;
    uint64_t held;         /* bytes of all of them */
    struct received spare; /* memory of an answered one, for the next */
};

struct post {
    struct list node;
    struct http_input *in;
    struct http_reply *reply;
    struct received received;
    uint64_t held; /* of in->held */
    struct buf element;
    struct inflater inflater;
    bool gzip;
    bool ended;             /* all of it was received */
    struct packets packets; /* /events */
    struct syslog_framer framer;
    struct buf rest; /* /syslog: an incomplete frame */
    bool broken;     /* /syslog: the start of the next frame is unknown */
    struct syslog_peer peer;
    struct str network; /* of the peer's address */
    char network_text[ADDRESS_NETWORK_SIZE];
    struct journal_safe safe;
    size_t bad;     /* records left out */
    bool strict;    /* all records or none */
    int status;     /* of the answer, once it is an error */
    struct err err; /* why, or the error of the first bad record */
};

/* ---- answers ---- */

static void post_free(struct post *p)
{
    list_del(&p->node);
    journal_safe_cancel(&p->safe);
    p->in->held -= p->held;
    packets_release(&p->packets);
    inflater_close(&p->inflater);
    if (received_cost(&p->received) > received_cost(&p->in->spare) &&
        received_cost(&p->received) <= HTTP_SPARE_MAX) {
        received_release(&p->in->spare);
        received_clear(&p->received);
        p->in->spare = p->received;
    } else {
        received_release(&p->received);
    }
    buf_release(&p->rest);
    buf_release(&p->element);
    free(p);
}

/* Answers, and frees the request. */
static void answer(struct post *p, int status, const char *text)
{
    struct http_reply *r = p->reply;
    struct buf body = BUF_INIT(sizeof(p->err.text) + 2);

    (void)buf_addf(&body, "%s\n", text); /* it fits: errors have that size */
    post_free(p);
    http_reply_send(r, status, TYPE, buf_str(&body));
    buf_release(&body);
}

static void log_problem(struct post *p, int status, const char *why)
{
    struct http_input *in = p->in;

    log_warn_for(LOG_BY_SENDER(http_reply_peer(p->reply)), "request refused",
                 KV_CSTR("input", in->name), KV_STR("peer", http_reply_peer(p->reply)),
                 KV_INT("status", status), KV_CSTR("error", why));
}

static void refuse(struct post *p, int status, const char *why)
{
    p->in->counters.failed++;
    log_problem(p, status, why);
    if (status == 401)
        http_reply_header(p->reply, "www-authenticate", "Bearer");
    answer(p, status, why);
}

/* The error may be part of <p>, which answer() frees. */
static void refuse_err(struct post *p)
{
    struct err e = p->err;

    p->in->counters.framing += p->bad ? p->bad : p->status == 400;
    refuse(p, p->status, e.text);
}

/* The good records were taken; the answer names the error of the others. */
static void answer_taken(struct post *p)
{
    struct err e;

    if (!p->bad) {
        answer(p, 200, "ok");
        return;
    }
    (void)err_set(&e, EINVAL, "ok, without %zu bad of %zu records: %s", p->bad,
                  p->bad + p->received.n, p->err.text);
    p->in->counters.framing += p->bad;
    log_problem(p, 200, e.text);
    answer(p, 200, e.text);
}

static void come_again(struct post *p, const char *seconds, const char *why)
{
    p->in->counters.stalled++;
    log_problem(p, 503, why);
    http_reply_header(p->reply, "retry-after", seconds);
    answer(p, 503, why);
}

/* ---- frames ---- */

/* Counts a record that is left out. */
static void bad_record(struct post *p, const char *why)
{
    if (!p->err.code)
        (void)err_set(&p->err, EINVAL, "record %zu: %s", p->received.n + p->bad, why);
    p->bad++;
}

/* False with p->err: no room. */
static bool take_message(struct post *p, struct str msg, bool cut)
{
    struct http_input *in = p->in;
    struct received_record r = {.pri = 0};
    struct journal_entry e;

    if (!msg.len || syslog_parse(&in->parser, msg, &p->peer, &e) == SYSLOG_UNPARSED) {
        bad_record(p, "not a syslog message");
        return true;
    }
    r.pri = e.syslog.pri;
    r.cut = cut || e.cut;
    if (received_keep(&p->received, e.hostname, &r.hostname) < 0 ||
        received_keep(&p->received, e.time, &r.time) < 0 ||
        received_keep(&p->received, e.syslog.tag, &r.tag) < 0 ||
        received_keep(&p->received, e.syslog.procid, &r.procid) < 0 ||
        received_keep(&p->received, e.syslog.msgid, &r.msgid) < 0 ||
        received_keep(&p->received, e.syslog.sd, &r.sd) < 0 ||
        received_keep(&p->received, e.msg, &r.msg) < 0 || received_add(&p->received, &r) < 0) {
        p->status = 413;
        (void)err_set(&p->err, EINVAL, "record %zu: too many records in one request",
                      p->received.n + p->bad);
        return false;
    }
    return true;
}

static bool take_frames(struct post *p, struct str piece)
{
    struct str msg, left;
    size_t used, done = 0;
    bool cut;
    enum syslog_frame rc;

    if (p->broken)
        return true;
    if (buf_add_str(&p->rest, piece) < 0)
        BUG("http: the framer leaves more than it may");
    do {
        left = str_skip(buf_str(&p->rest), done);
        rc = syslog_frame_next(&p->framer, left, &msg, &cut, &used);
        done += used;
        if (rc == SYSLOG_FRAME && !take_message(p, msg, cut))
            return false;
    } while (rc == SYSLOG_FRAME);
    buf_consume(&p->rest, done);
    if (rc == SYSLOG_FRAME_BAD) {
        bad_record(p, "invalid octet count");
        p->broken = true;
    }
    return true;
}

static bool end_frames(struct post *p)
{
    struct str msg;
    bool torn = false, one;

    if (p->broken)
        return true;
    one = syslog_frame_last(&p->framer, buf_str(&p->rest), &msg, &torn);
    if (torn)
        bad_record(p, "the body ends inside of it");
    else if (one)
        return take_message(p, msg, false);
    return true;
}

/* ---- a body ---- */

struct held {
    uint64_t network, address, post;
};

static struct held held_of(const struct http_input *in, const struct post *of)
{
    struct held h = {.post = of->held};

    list_for_each (it, &in->posts) {
        const struct post *p = list_entry(it, struct post, node);

        h.network += str_eq(p->network, of->network) ? p->held : 0;
        h.address += str_eq(p->peer.address, of->peer.address) ? p->held : 0;
    }
    return h;
}

static bool is_more(const struct held *a, const struct held *b)
{
    if (a->network != b->network)
        return a->network > b->network;
    return a->address != b->address ? a->address > b->address : a->post > b->post;
}

/* The largest request of the network and address that have most, of those that are still received.
 * They are no more than the connections of the server. */
static struct post *largest(const struct http_input *in)
{
    struct held most = {0};
    struct post *best = NULL;

    list_for_each (it, &in->posts) {
        struct post *p = list_entry(it, struct post, node);
        struct held held;

        if (p->ended)
            continue;
        held = held_of(in, p);
        if (is_more(&held, &most)) {
            best = p;
            most = held;
        }
    }
    return best;
}

/* Accounts the memory of the request. When all together exceed the limit, the network that has most
 * makes room; false: with the request <p>. */
static bool count_held(struct post *p)
{
    struct http_input *in = p->in;
    uint64_t now = received_cost(&p->received) + p->rest.cap + p->packets.json.text.cap;

    in->held += now - p->held;
    p->held = now;
    while (in->held > HTTP_BODIES_MAX) {
        struct post *most = largest(in);

        if (!most || most == p) {
            p->status = 503;
            return false;
        }
        come_again(most, RETRY_BUSY, TOO_MUCH);
    }
    return true;
}

static bool take_plain(void *arg, struct str piece)
{
    struct post *p = arg;
    bool ok;

    if (p->in->kind == HTTP_INPUT_SYSLOG) {
        ok = take_frames(p, piece);
    } else {
        ok = packets_feed(&p->packets, piece, &p->err) == 0;
        p->status = ok ? 0 : 413;
    }
    return ok && count_held(p);
}

static bool take_gzip(struct post *p, struct str piece)
{
    switch (inflater_feed(&p->inflater, piece, take_plain, p)) {
    case INFLATE_OK:
        return true;
    case INFLATE_LARGE:
        p->status = 413;
        (void)err_set(&p->err, EINVAL, "decompressed body is too large");
        return false;
    case INFLATE_BAD:
        p->status = 400;
        (void)err_set(&p->err, EINVAL, "the body is not gzip");
        return false;
    default:
        return false;
    }
}

static void give_up(struct post *p)
{
    if (p->status == 503)
        come_again(p, RETRY_BUSY, TOO_MUCH);
    else
        refuse_err(p);
}

static void begin(void *arg, const struct http_incoming *q, struct http_reply *r)
{
    struct http_input *in = arg;
    struct post *p = xcalloc(1, sizeof(*p));
    bool plain = !q->content_encoding.len || str_ieq(q->content_encoding, STR("identity"));

    p->in = in;
    p->reply = r;
    p->strict = q->strict;
    http_reply_set_data(r, p);
    list_add_tail(&in->posts, &p->node);
    list_init(&p->safe.node);
    p->received = in->spare;
    received_init(&in->spare, HTTP_BODY_MAX + JOURNAL_SD_MAX, HTTP_RECORDS_MAX);
    buf_init(&p->element, ELEMENT_MAX);
    if (!in->source->anonymous)
        (void)syslog_peer_element(&p->element, http_reply_peer(r), STR("")); /* an address fits */
    p->peer = (struct syslog_peer){http_reply_peer(r), buf_str(&p->element), in->source->trusted};
    p->network = address_network(p->peer.address, p->network_text);
    packets_init(&p->packets, &p->received, in->max_line, &p->peer);
    syslog_framer_init(&p->framer, in->max_line);
    buf_init(&p->rest, in->max_line + HTTP_HEAD_MAX + 128 * 1024);
    if (!bearer_good(&in->bearer, q->authorization, loop_now(in->base.env->loop)))
        refuse(p, 401, "missing or wrong bearer token");
    else if (!plain && !str_ieq(q->content_encoding, STR("gzip")) &&
             !str_ieq(q->content_encoding, STR("x-gzip")))
        refuse(p, 415, "gzip is the only supported content encoding");
    else if (!plain && inflater_open(&p->inflater) < 0)
        come_again(p, RETRY_BUSY, "there is no memory");
    else
        p->gzip = !plain;
}

static void body(void *arg, struct http_reply *r, struct str piece)
{
    struct http_input *in = arg;
    struct post *p = http_reply_data(r);

    syslog_parser_set_now(&in->parser, clock_wall_ns() / 1000000000);
    if (!(p->gzip ? take_gzip(p, piece) : take_plain(p, piece)))
        give_up(p);
}

/* ---- journals ---- */

static void safe_done(struct journal_safe *s, bool ok)
{
    struct post *p = container_of(s, struct post, safe);

    if (ok)
        answer_taken(p);
    else
        come_again(p, RETRY_FULL, "the records cannot be written now");
}

static uint64_t entries_size(const struct journal_entry *e, size_t n)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < n; i++)
        bytes += journal_record_size(&e[i]);
    return bytes;
}

/* How many were taken, or are otherwise final. */
static size_t append(struct http_input *in, const struct journal_entry *e, size_t n)
{
    struct journals *js = in->base.env->journals;
    size_t i;

    if (entries_size(e, n) <= HTTP_ATOMIC_BYTES)
        return journals_append_all(js, in->source, e, n) == JOURNAL_OK ? n : 0;
    for (i = 0; i < n; i++)
        if (journals_append(js, in->source, &e[i]) == JOURNAL_FULL)
            break;
    return i;
}

static void hand_over(struct post *p)
{
    struct http_input *in = p->in;
    const struct journal_entry *e =
        received_entries(&p->received, p->peer.address, buf_str(&p->element));
    size_t n = p->received.n, taken;
    uint64_t refused = in->counters.refused;

    taken = append(in, e, n);
    received_drop_entries(
        &p->received); /* no longer counted in <held>: it may take long until it is safe */
    p->safe.done = safe_done;
    if (taken < n)
        come_again(p, RETRY_FULL,
                   taken ? "there was room for a part of the records only"
                         : "there is no room now");
    else if (n && in->counters.refused - refused == n)
        refuse(p, 403, "hostname not allowed");
    else
        journals_when_safe(in->base.env->journals, &p->safe);
}

/* False with p->err: no record. */
static bool end_records(struct post *p)
{
    if (p->in->kind == HTTP_INPUT_SYSLOG) {
        if (!end_frames(p))
            return false;
    } else {
        packets_end(&p->packets);
        p->bad = p->packets.bad;
        p->err = p->packets.err;
    }
    if (!p->received.n && !p->bad && !p->err.code && p->in->kind == HTTP_INPUT_SYSLOG)
        (void)err_set(&p->err, EINVAL, "there is no record");
    p->status = 400;
    return !p->err.code || (p->received.n && !p->strict);
}

static void end(void *arg, struct http_reply *r)
{
    struct post *p = http_reply_data(r);
    bool ok;

    (void)arg;
    p->ended = true;
    if (p->gzip && !inflater_ended(&p->inflater)) {
        p->status = 400;
        (void)err_set(&p->err, EINVAL, "the gzip body is truncated");
        ok = false;
    } else {
        ok = end_records(p);
    }
    if (ok)
        hand_over(p);
    else
        refuse_err(p);
}

static void gone(void *arg, struct http_reply *r)
{
    struct http_input *in = arg;

    in->counters.failed++;
    post_free(http_reply_data(r));
}

/* ---- the member ---- */

static struct http_input *input_of(const struct input *base)
{
    return container_of((struct input *)(uintptr_t)base, struct http_input, base);
}

/* The connections belong to the server, which is not for inputs only. */
static const struct input_counters *counters(const struct input *base)
{
    struct http_input *in = input_of(base);
    struct http_server_stats s;

    http_server_stats(in->server, &s);
    in->counters.connections = s.connections;
    in->counters.accepted = s.accepted;
    in->counters.refused_connections = s.refused;
    return &in->counters;
}

static uint16_t port(const struct input *base)
{
    return http_server_port(input_of(base)->server);
}

static void close_input(struct input *base)
{
    struct http_input *in = input_of(base);

    while (!list_empty(&in->posts))
        come_again(list_entry(in->posts.next, struct post, node), RETRY_BUSY, "stopping");
    http_server_remove_sink(in->server, &in->sink);
    journal_source_close(in->source);
    syslog_parser_release(&in->parser);
    received_release(&in->spare);
    bearer_close(&in->bearer);
    free(in);
}

static const struct input_ops http_ops = {
    .name = "http", .close = close_input, .counters = counters, .port = port};

struct input *input_http_open(const struct input_env *env, const struct http_input_config *cfg,
                              struct err *e)
{
    struct http_input *in = xcalloc(1, sizeof(*in));

    in->base = (struct input){&http_ops, env};
    in->name = cfg->name;
    in->kind = cfg->kind;
    in->server = cfg->server;
    in->max_line = cfg->max_line;
    in->sink = (struct http_sink){.path = str_of(cfg->path),
                                  .body_max = HTTP_BODY_MAX,
                                  .begin = begin,
                                  .body = body,
                                  .end = end,
                                  .gone = gone,
                                  .arg = in};
    list_init(&in->posts);
    received_init(&in->spare, HTTP_BODY_MAX + JOURNAL_SD_MAX, HTTP_RECORDS_MAX);
    syslog_parser_init(&in->parser);
    if (bearer_open(&in->bearer, cfg->token_file, loop_now(env->loop), e) < 0) {
        (void)err_wrap(e, "HTTP_TOKEN_FILE");
        goto fail;
    }
    in->source = journal_source_open(env->journals, cfg->name, &in->counters, e);
    if (!in->source)
        goto fail;
    http_server_add_sink(in->server, &in->sink);
    return &in->base;
fail:
    close_input(&in->base);
    return NULL;
}
