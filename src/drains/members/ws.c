/*
 * ws, wss: one message for each batch, followed by a Ping that carries the batch's number. The
 * peer's WebSocket library answers a Ping when it has read what stands before it. So the Pong with
 * that number (or a later one: a peer may answer only the latest Ping) says that the batch has
 * arrived. The program behind the library may still fail at it, which ends the connection. So the
 * batch is confirmed when the connection has stayed healthy for COMMIT_LAG_MS after the Pong, or
 * ends with a normal close. Without a Pong within timeout= the connection is ended, and what is
 * unconfirmed is sent again.
 *
 * By default messages are what a zlogs receiver expects: binary, each a gzip member of its own with
 * whole lines. With compression=none they are text.
 *
 * A batch stays here until its Pong, and is in the ledger after that. One that is sent alone
 * (drain->alone) stays until the next one may follow, because the end of the connection may blame
 * it; see seek.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "drains/base/http_post.h"
#include "drains/base/stream_drain.h"
#include "drains/core/drain.h"
#include "drains/core/gzip.h"
#include "drains/core/worker.h"
#include "drains/members/members.h"
#include "drains/members/ws_internal.h"
#include "formats/format.h"

#define SLOTS 4
#define POLL_MS 500 /* how often to look for what can be confirmed */
#define BACKLOG_MAX (2 * (size_t)BATCH_GROWTH_MAX)
#define MESSAGE_KEPT (16 * 1024) /* a larger buffer is freed */

struct drain_ws {
    struct stream_drain link;
    struct ws *ws;              /* owned; NULL while closed */
    struct gzip *gzip;          /* the worker's; NULL with compression=none */
    struct buf message;         /* gzipped, or made valid UTF-8 */
    struct batch *queue[SLOTS]; /* ring, oldest at <first>; batch->end is its number */
    unsigned first, len;
    unsigned unwritten;      /* that many at the end are not completely with the kernel */
    uint64_t number;         /* of the last batch on this connection */
    struct loop_timer *poll; /* runs while something has its Pong and is not confirmed */
    uint64_t ponged_ms;      /* when the batch that is sent alone had its Pong; 0 = not yet */
    bool ponged;             /* the peer has answered a Ping on this connection */
};

static struct drain_ws *ws_of(struct drain *d)
{
    if (d->ops != drain_ws.ops)
        BUG("drain: '%s' taken for 'ws'", d->ops->name);
    return container_of(d, struct drain_ws, link.base);
}

static void settle_oldest(struct drain_ws *w, enum verdict v)
{
    struct batch *b = w->queue[w->first];

    w->first = (w->first + 1) % SLOTS;
    w->len--;
    drain_settle(&w->link.base, b, v);
}

/* <first> is for the oldest, <rest> for the others. */
static void settle_all(struct drain_ws *w, enum verdict first, enum verdict rest,
                       const struct err *why)
{
    for (enum verdict v = first; w->len; v = rest) {
        w->queue[w->first]->err = *why;
        settle_oldest(w, v);
    }
}

static void disconnect(struct drain_ws *w)
{
    ws_free(w->ws);
    w->ws = NULL;
    w->unwritten = 0;
    w->ponged_ms = 0;
    loop_timer_stop(w->link.timer);
    loop_timer_stop(w->poll);
}

static uint64_t acked_now(const struct stream_drain *link)
{
    return ws_acked(container_of(link, struct drain_ws, link)->ws);
}

/* Settles the batch that was sent alone. */
static void settle_alone(struct drain_ws *w, enum verdict v)
{
    w->ponged_ms = 0;
    settle_oldest(w, v);
}

static void on_poll(void *arg)
{
    struct drain_ws *w = arg;
    uint64_t seen = drain_seen_until(&w->link.base);
    bool more = drain_confirm_old(&w->link.base, seen) || w->ponged_ms;
    uint64_t well = seen > w->ponged_ms ? seen - w->ponged_ms : 0;
    enum verdict v = w->ponged_ms ? drain_seek_step(&w->link.base, well) : 0;

    if (v)
        settle_alone(w, v);
    if (more)
        loop_timer_start(w->poll, POLL_MS);
}

/* ---- sending ---- */

/* Makes the message of <b> from its body. -1 with b->err set. */
static int make_message(struct drain_ws *w, struct batch *b, struct str *out)
{
    *out = buf_str(&b->body);
    if (w->gzip) {
        if (gzip_pack(w->gzip, *out, &w->message, &b->err) < 0)
            return -1;
        *out = buf_str(&w->message);
    } else if (!format_is_utf8(*out)) {
        buf_clear(&w->message);
        if (format_add_utf8(&w->message, *out) < 0)
            return err_set(&b->err, ENOMEM, "websocket: no room for the message");
        *out = buf_str(&w->message);
    }
    return 0;
}

/* The oldest batch that is not completely with the kernel; there is one. */
static struct batch *first_unwritten(struct drain_ws *w)
{
    return w->queue[(w->first + w->len - w->unwritten) % SLOTS];
}

/* Writes the message of <b> and its Ping, or resumes them after they were dropped. */
static int write_message(struct drain_ws *w, struct batch *b, struct err *e)
{
    enum ws_opcode op = w->gzip ? WS_BINARY : WS_TEXT;
    struct str message;
    char text[24];
    int n = snprintf(text, sizeof(text), "%" PRIu64, b->end), rc;
    struct str ping = str_make(text, (size_t)n);

    if (drain_unshelve(&w->link.base, b) < 0)
        return err_set(e, ESTALE, "websocket: log file changed while a message was sent");
    if (make_message(w, b, &message) < 0) {
        *e = b->err;
        return -1;
    }
    rc = ws_is_shelved(w->ws) ? ws_resume(w->ws, op, message, ping)
                              : ws_send(w->ws, op, message, ping);
    if (w->message.cap > MESSAGE_KEPT)
        buf_release(&w->message);
    return rc < 0 ? err_set(e, ESTALE, "websocket: the message cannot be queued") : 0;
}

/* Call it when the connection has ended: <first> is for the oldest message without a Pong, <v> for
 * the others and for the drain. */
static void connection_ended(struct drain_ws *w, enum verdict first, enum verdict v, bool clean,
                             int64_t retry_after_ms, const struct err *e);

/* The socket's backlog holds at most one message; later batches wait as batches. */
static void write_more(struct drain_ws *w)
{
    struct err e = {0, ""};

    if (!ws_is_open(w->ws))
        return; /* it is closing: <ended> follows, with the cause */
    while (w->unwritten) {
        struct batch *b = first_unwritten(w);
        bool given = b->extra && !ws_is_shelved(w->ws);

        if (!given && write_message(w, b, &e) < 0) {
            connection_ended(w, VERDICT_OFFLINE, VERDICT_OFFLINE, false, -1, &e);
            return;
        }
        b->extra = ws_backlog(w->ws);
        if (b->extra)
            break;
        w->unwritten--;
        drain_body_sent(&w->link.base, b, false);
        drain_charge(b);
    }
    for (unsigned i = w->len - w->unwritten; i < w->len;
         i++) /* their turn comes as it progresses */
        drain_moved(&w->link.base, w->queue[(w->first + i) % SLOTS]);
    if (w->unwritten)
        drain_body_copied(&w->link.base, first_unwritten(w));
}

static void ws_send_batch(struct drain *d, struct batch *b)
{
    struct drain_ws *w = ws_of(d);

    if (!ws_is_open(w->ws)) { /* <ended> follows, and is about earlier batches */
        (void)err_set(&b->err, EPIPE, "websocket: connection is closing");
        drain_settle(d, b, VERDICT_RETRY);
        return;
    }
    b->end = ++w->number;
    w->queue[(w->first + w->len++) % SLOTS] = b;
    if (w->len == 1)
        stream_drain_await(&w->link);
    if (w->unwritten++)
        drain_moved(d, b);
    else
        write_more(w);
}

static void shelve_batch(struct drain *d, struct batch *b)
{
    struct drain_ws *w = ws_of(d);

    if (w->unwritten && b == first_unwritten(w) && b->extra) {
        ws_shelve(w->ws);
        b->extra = 0;
    }
    drain_shelve(d, b);
    drain_charge(b);
}

/* ---- the connection's callbacks ---- */

static void connection_ended(struct drain_ws *w, enum verdict first, enum verdict v, bool clean,
                             int64_t retry_after_ms, const struct err *e)
{
    disconnect(w);
    settle_all(w, first, v, e);
    stream_drain_ended(&w->link, clean, v, retry_after_ms, e);
}

static void on_opened(void *arg)
{
    struct drain_ws *w = arg;

    w->link.opened_ms = stream_drain_now(&w->link);
    w->ponged = false;
    w->number = 0;
    drain_opened(&w->link.base);
}

static void on_pong(void *arg, struct str payload)
{
    struct drain_ws *w = arg;
    uint64_t number = ws_pong_number(payload);

    if (number > w->number - w->unwritten || !w->len || w->queue[w->first]->end > number)
        return; /* an unsolicited Pong, which a peer may send */
    w->ponged = true;
    if (!loop_timer_active(w->poll))
        loop_timer_start(w->poll, POLL_MS);
    if (w->link.base.alone && !w->link.closing) {
        if (!w->ponged_ms)
            w->ponged_ms = stream_drain_now(&w->link);
        loop_timer_stop(w->link.timer);
        return;
    }
    while (w->len && w->queue[w->first]->end <= number)
        settle_oldest(w, VERDICT_SENT);
    if (w->len) {
        stream_drain_await(&w->link);
        return;
    }
    loop_timer_stop(w->link.timer);
    if (w->link.closing)
        ws_close(w->ws, WS_CLOSE_NORMAL); /* <ended> follows */
}

static void on_writable(void *arg)
{
    write_more(arg);
}

static void on_ended(void *arg, const struct ws_end *end)
{
    struct drain_ws *w = arg;
    const struct answer_row *row = answer_find(&ws_closes, end->code, STR(""));
    uint64_t age = stream_drain_now(&w->link) - w->link.opened_ms;
    struct err why = end->err;
    enum verdict v = VERDICT_OFFLINE, first;
    bool reported =
        end->code && (row->verdict == VERDICT_REJECTED || row->verdict == VERDICT_TOO_LARGE);
    bool blamed = false, clean = false;

    if (end->code && row->flags & WS_CLEAN) { /* what it has read counts as processed */
        if (w->ponged_ms)
            settle_alone(w, VERDICT_SENT);
        drain_closed_by_peer(&w->link.base);
    }
    if (reported || (end->opened && (!end->code || row->flags & WS_BLAMES)))
        blamed = drain_blame(&w->link.base, reported ? row->verdict : VERDICT_OFFLINE);
    if (end->code) {
        (void)err_set(&why, EPIPE, "websocket: closed by the peer with code %u: %s", end->code,
                      row->reason);
        v = row->verdict == VERDICT_HOLD ? VERDICT_HOLD : VERDICT_OFFLINE;
        /* A clean close that comes at once, again and again, does not count as clean. */
        clean = row->flags & WS_CLEAN &&
                (w->ponged || age >= YOUNG_CONNECTION_MS || w->link.closing) &&
                (reported ? blamed : !w->len);
    } else if (end->status) {
        v = ws_refusal(end->status, &why);
    }
    first = !blamed ? v : reported ? row->verdict : VERDICT_REJECTED;
    connection_ended(w, first, v, clean, end->retry_after_ms, &why);
}

static void timed_out(struct stream_drain *link, const struct err *e)
{
    connection_ended(container_of(link, struct drain_ws, link), VERDICT_OFFLINE, VERDICT_OFFLINE,
                     false, -1, e);
}

static const struct ws_ops callbacks = {on_opened, on_pong, on_writable, on_ended};

static void ws_open(struct drain *d)
{
    struct drain_ws *w = ws_of(d);
    const struct drain_spec *s = d->spec;
    struct buf authorization = BUF_INIT(4 * URL_MAX);
    struct ws_config cfg = {
        .conn = stream_drain_config(&w->link),
        .request = {.host = s->url.host,
                    .ipv6 = s->url.ipv6,
                    .port = s->port == s->scheme->port ? 0 : s->port,
                    .target = str_of(s->target)},
        .answer_timeout_ms = s->timeout_ms,
        .backlog_max = BACKLOG_MAX,
    };

    if (w->ws && ws_is_open(w->ws)) { /* the backoff was because of a batch */
        drain_opened(d);
        return;
    }
    disconnect(w);
    if (ws_authorization(&authorization, s) < 0)
        BUG("websocket: credentials longer than their URL");
    cfg.request.authorization = buf_str(&authorization);
    w->ws = ws_create(worker_loop(d->worker), worker_dns(d->worker), &cfg, &callbacks, w);
    if (authorization.p)
        explicit_bzero(authorization.p, authorization.len);
    buf_release(&authorization);
}

/* ---- create, close, free ---- */

static struct drain *ws_drain_create(struct worker *wk, struct drain_spec *spec, struct err *e)
{
    struct drain_ws *w = stream_drain_create(sizeof(*w), drain_ws.ops, wk, spec, e);

    if (!w)
        return NULL;
    w->link.silence = "websocket: no pong";
    w->link.acked_now = acked_now;
    w->link.timed_out = timed_out;
    w->link.base.slots = SLOTS;
    w->link.base.lags = true;
    w->gzip = spec->gzip ? worker_gzip(wk) : NULL;
    buf_init(&w->message, BACKLOG_MAX);
    w->poll = loop_timer_create(worker_loop(wk), on_poll, w);
    return &w->link.base;
}

static void ws_drain_close(struct drain *d, bool flush)
{
    struct drain_ws *w = ws_of(d);
    struct err e = {0, ""};

    if (d->closed)
        return;
    w->link.closing = true;
    if (flush && w->ws && ws_is_open(w->ws)) {
        if (w->ponged_ms)
            settle_alone(w, VERDICT_SENT);
        if (!w->len)
            ws_close(w->ws, WS_CLOSE_NORMAL);
        return; /* <ended> follows, or the worker closes again without <flush> */
    }
    (void)err_set(&e, ECANCELED, "websocket: closed before the pong");
    disconnect(w);
    settle_all(w, VERDICT_OFFLINE, VERDICT_OFFLINE, &e);
    drain_closed(d);
}

static void ws_drain_free(struct drain *d)
{
    struct drain_ws *w = ws_of(d);

    disconnect(w);
    loop_timer_free(w->poll);
    buf_release(&w->message);
    stream_drain_free(&w->link);
}

static const struct drain_ops ops = {
    .name = "ws",
    .create = ws_drain_create,
    .open = ws_open,
    .send = ws_send_batch,
    .shelve = shelve_batch,
    .close = ws_drain_close,
    .free = ws_drain_free,
};

/* ---- the URL ---- */

#define WS(tls, port_)                                                                             \
    .member = &drain_ws, .port = (port_),                                                          \
    .flags = DRAIN_ANY_SERVER | DRAIN_LOGIN | DRAIN_PATH | DRAIN_QUERY | DRAIN_GZIP |              \
             DRAIN_LINGER | DRAIN_UTF8 | (tls),                                                    \
    .promise = PROMISE_CONFIRMED, .format = FORMAT_RAW, .framing = FRAMING_LF

static const struct drain_scheme schemes[] = {
    {.name = "ws",
     WS(0, 80),
     .sends = "WebSocket, gzipped lines; text with `compression=none`",
     .aliases = "websocket"},
    {.name = "wss", WS(DRAIN_TLS, 443), .aliases = "websockets|ws+tls|ws+ssl|websocket"},
    {.name = NULL},
};

/* It becomes a part of a header. */
static bool is_visible(struct str v)
{
    for (size_t i = 0; i < v.len; i++)
        if (v.p[i] <= ' ' || v.p[i] > '~')
            return false;
    return true;
}

static const struct drain_option options[] = {
    {.name = "token",
     .common = true,
     .values = "TOKEN",
     .fallback = "none",
     .help = "sent as a bearer token",
     .type = OPTION_SECRET,
     DRAIN_FIELD(ws_options, token),
     .min = 1,
     .max = URL_MAX,
     .fits = is_visible,
     .must_be = "visible ascii"},
    {.name = NULL},
};

static void set_defaults(struct drain_spec *s)
{
    s->gzip = true;
}

static int settle(struct drain_spec *s, struct err *e)
{
    const struct ws_options *own = s->own;

    if (own->token && s->url.has_user)
        return err_set(e, EINVAL, "option 'token' and a user cannot both be given");
    if (s->utf8 == UTF8_UNSET)
        s->utf8 = UTF8_VALID;
    return 0;
}

static int describe(const struct drain_spec *s, enum drain_section section, struct buf *out)
{
    const struct ws_options *own = s->own;

    if (section == SECTION_PLACE && own->token)
        return drain_spec_line(out, "token", "given, sent as bearer token");
    if (section == SECTION_SENDING)
        return drain_spec_line(out, "message", "%s",
                               s->gzip ? "binary, gzipped whole lines" : "text, whole lines");
    return 0;
}

static const struct answer_table *const answers[] = {&http_answers, &ws_closes, NULL};

const struct drain_member drain_ws = {
    .ops = &ops,
    .schemes = schemes,
    .options = options,
    .own_size = sizeof(struct ws_options),
    .answers = answers,
    .defaults = "compression=gzip|utf8=valid",
    .set_defaults = set_defaults,
    .settle = settle,
    .describe = describe,
};
