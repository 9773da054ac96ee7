/*
 * See ws.h. Output waits in <out>, whole frames only, so a control frame can always be appended. At
 * most one Pong is pending: of many Pings only the latest is answered when the socket is writable
 * (RFC 6455 §5.5.3 allows that), so a flood costs no memory.
 */
#include "net/ws.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"

#define FRAME_COST 16        /* bytes that take as long to read as a frame, however short it is */
#define OUT_KEPT (64 * 1024) /* a larger buffer is freed */
#define CONTROL_ROOM 512     /* in <out>, on top of backlog_max */

enum ws_state {
    WS_CONNECTING = 1,
    WS_ASKING, /* the request was sent */
    WS_OPEN,
    WS_CLOSING, /* our Close is queued */
    WS_SPENT,   /* nothing is read or written any more, but the conn has not reported its end */
};

struct ws {
    struct loop *loop;
    struct conn *conn; /* owned */
    const struct ws_ops *ops;
    void *arg;
    enum ws_state state;
    struct loop_timer *timer; /* owned; deadline of the answer */
    uint64_t answer_timeout_ms;
    char key[WS_KEY_SIZE];
    struct buf head; /* the answer, while it is received */
    struct buf out;
    size_t off;           /* bytes of it already sent */
    uint8_t masks[2][4];  /* of the last message and its Ping */
    size_t put_by;        /* bytes of these that were released ... */
    uint64_t put_by_hash; /* ... and their hash: ws_resume() must bring the same */
    struct ws_parser parser;
    uint8_t pong[WS_CONTROL_MAX]; /* pending */
    size_t pong_len;
    bool pong_due;
    struct ws_end end;
};

size_t ws_backlog(const struct ws *w)
{
    return w->put_by ? w->put_by : w->out.len - w->off;
}

bool ws_is_shelved(const struct ws *w)
{
    return w->put_by > 0;
}

uint64_t ws_acked(const struct ws *w)
{
    int64_t unacked = conn_unacked(w->conn);

    return conn_written(w->conn) - (unacked > 0 ? (uint64_t)unacked : 0);
}

bool ws_is_open(const struct ws *w)
{
    return w->state == WS_OPEN;
}

/* ---- writing ---- */

static void push(struct ws *w)
{
    if (!ws_backlog(w) || w->put_by)
        return;
    w->off += conn_write(w->conn, w->out.p + w->off, ws_backlog(w));
    if (ws_backlog(w))
        return; /* <writable> follows */
    if (w->state == WS_ASKING)
        explicit_bzero(w->out.p, w->out.len); /* it contained credentials */
    w->off = 0;
    buf_clear(&w->out);
    if (w->out.cap > OUT_KEPT)
        buf_release(&w->out);
}

static void make_masks(void *masks, size_t size)
{
    if (getentropy(masks, size) < 0)
        BUG("websocket: no random bytes");
}

static void skip_taken(struct ws *w)
{
    buf_consume(&w->out, w->off);
    w->off = 0;
}

static int add_frame(struct ws *w, enum ws_opcode op, struct str payload)
{
    uint8_t mask[4];

    if (w->put_by)
        return -1; /* the last frame is incomplete: no other may follow */
    make_masks(mask, sizeof(mask));
    skip_taken(w);
    return ws_frame_add(&w->out, op, payload, mask);
}

static int add_pinged(struct ws *w, enum ws_opcode op, struct str payload, struct str ping)
{
    return ws_frame_add(&w->out, op, payload, w->masks[0]) < 0
               ? -1
               : ws_frame_add(&w->out, WS_PING, ping, w->masks[1]);
}

int ws_send(struct ws *w, enum ws_opcode op, struct str payload, struct str ping)
{
    if (w->state != WS_OPEN || w->put_by ||
        ws_backlog(w) + payload.len + 2 * WS_HEADER_MAX + CONTROL_ROOM > w->out.max)
        return -1;
    make_masks(w->masks, sizeof(w->masks));
    skip_taken(w);
    if (add_pinged(w, op, payload, ping) < 0)
        return -1;
    push(w);
    return 0;
}

void ws_shelve(struct ws *w)
{
    if (w->state != WS_OPEN || w->put_by || !ws_backlog(w))
        return;
    w->put_by_hash = hash_stable(w->out.p + w->off, ws_backlog(w));
    w->put_by = ws_backlog(w);
    buf_release(&w->out);
    w->off = 0;
}

int ws_resume(struct ws *w, enum ws_opcode op, struct str payload, struct str ping)
{
    size_t rest = w->put_by;

    if (w->state != WS_OPEN || !rest || add_pinged(w, op, payload, ping) < 0 || w->out.len < rest)
        return -1;
    w->off = w->out.len - rest;
    if (hash_stable(w->out.p + w->off, rest) != w->put_by_hash)
        return -1;
    w->put_by = 0;
    push(w);
    return 0;
}

static void answer_ping(struct ws *w)
{
    if (!w->pong_due || w->state != WS_OPEN || ws_backlog(w))
        return;
    w->pong_due = false;
    if (add_frame(w, WS_PONG, str_make((const char *)w->pong, w->pong_len)) == 0)
        push(w);
}

/* Closes when the queued bytes and the Close are sent, or can never be sent. */
static void leave(struct ws *w)
{
    if (w->state == WS_CLOSING && !ws_backlog(w))
        conn_shutdown(w->conn);
}

void ws_close(struct ws *w, enum ws_close_code code)
{
    const char payload[2] = {(char)(code >> 8), (char)(code & 0xff)};

    if (w->state != WS_OPEN)
        return;
    (void)add_frame(w, WS_CLOSE, str_make(payload, 2)); /* otherwise without a payload */
    w->state = WS_CLOSING;
    w->put_by = 0;
    push(w);
    leave(w);
}

/* Answers a protocol error or a Close with a Close, if the socket takes it now. */
static void give_up(struct ws *w, enum ws_close_code code)
{
    if (w->state == WS_OPEN)
        ws_close(w, code);
    w->state = WS_SPENT;
    conn_shutdown(w->conn);
}

/* ---- reading ---- */

static void on_event(struct ws *w, const struct ws_event *ev)
{
    switch (ev->op) {
    case WS_PING:
        memcpy(w->pong, ev->payload.p, ev->payload.len);
        w->pong_len = ev->payload.len;
        w->pong_due = true;
        break;
    case WS_PONG:
        w->ops->pong(w->arg, ev->payload);
        break;
    case WS_CLOSE:
        w->end.code = ev->code;
        if (!w->end.err.code)
            (void)err_set(&w->end.err, EPIPE, "websocket: closed by the peer with code %u",
                          ev->code);
        give_up(w, ev->code == WS_CLOSE_NONE ? WS_CLOSE_NORMAL : (enum ws_close_code)ev->code);
        break;
    default:
        BUG("websocket: event %d", (int)ev->op);
    }
}

static void take_frames(struct ws *w, struct str in)
{
    struct ws_event ev;
    int rc;

    while (w->state == WS_OPEN || w->state == WS_CLOSING) {
        rc = ws_parse(&w->parser, &in, &ev, &w->end.err);
        if (rc == 0)
            break;
        if (rc > 0)
            on_event(w, &ev);
        else
            give_up(w, w->parser.failed);
    }
}

static void take_answer(struct ws *w, struct str in)
{
    struct ws_answer a;
    size_t used = 0;
    int rc;

    if (buf_add_str(&w->head, in) < 0)
        rc = err_set(&w->end.err, EMSGSIZE, "websocket: answer is too long");
    else
        rc = ws_answer(buf_str(&w->head), w->key, &a, &used, &w->end.err);
    if (rc == 0)
        return;
    loop_timer_stop(w->timer);
    if (rc < 0) {
        w->end.status = w->head.len && a.status != 101 ? a.status : 0;
        w->end.retry_after_ms = a.retry_after_ms;
        w->state = WS_SPENT;
        conn_shutdown(w->conn);
        return;
    }
    w->state = WS_OPEN;
    w->end.opened = true;
    w->ops->opened(w->arg);
    take_frames(w, str_skip(buf_str(&w->head), used));
    buf_release(&w->head);
}

static void on_readable(void *arg)
{
    struct ws *w = arg;
    char part[4096];
    size_t n;

    while ((n = conn_read(w->conn, part, sizeof(part))) > 0) {
        if (w->state == WS_ASKING)
            take_answer(w, str_make(part, n));
        else
            take_frames(w, str_make(part, n));
        conn_charge(w->conn, (size_t)w->parser.frames * FRAME_COST);
        w->parser.frames = 0;
    }
    answer_ping(w); /* one for all that came in this turn */
}

/* ---- other callbacks of the conn ---- */

static void on_opened(void *arg)
{
    struct ws *w = arg;

    w->state = WS_ASKING;
    loop_timer_start(w->timer, w->answer_timeout_ms);
    push(w);
}

static void on_writable(void *arg)
{
    struct ws *w = arg;

    push(w);
    answer_ping(w);
    leave(w);
    if (w->state == WS_OPEN && w->ops->writable)
        w->ops->writable(w->arg);
}

static void on_ended(void *arg, enum conn_end how, const struct err *e)
{
    struct ws *w = arg;

    if (!w->end.err.text[0]) {
        w->end.err = *e;
        if (how == CONN_END_CLEAN)
            (void)err_set(&w->end.err, EPIPE, "websocket: connection closed %s",
                          w->end.opened ? "without a close frame" : "before an answer");
    }
    w->state = WS_SPENT;
    w->ops->ended(w->arg, &w->end);
}

static void on_timeout(void *arg)
{
    struct ws *w = arg;

    (void)err_set(&w->end.err, ETIMEDOUT, "websocket: no answer to the upgrade for %llu s",
                  (unsigned long long)(w->answer_timeout_ms / 1000));
    w->state = WS_SPENT;
    conn_free(w->conn);
    w->conn = NULL;
    w->ops->ended(w->arg, &w->end);
}

static const struct conn_ops callbacks = {on_opened, on_readable, on_writable, on_ended};

/* ---- life cycle ---- */

struct ws *ws_create(struct loop *l, struct dns *dns, const struct ws_config *cfg,
                     const struct ws_ops *ops, void *arg)
{
    struct ws *w = xcalloc(1, sizeof(*w));
    struct conn_config conn = cfg->conn;

    w->loop = l;
    w->ops = ops;
    w->arg = arg;
    w->state = WS_CONNECTING;
    w->end.retry_after_ms = -1;
    w->answer_timeout_ms = cfg->answer_timeout_ms;
    buf_init(&w->head, HTTP_RESPONSE_HEADERS_MAX + 8192);
    buf_init(&w->out, cfg->backlog_max + CONTROL_ROOM + WS_HEADER_MAX);
    ws_key(w->key);
    if (ws_request(&w->out, &cfg->request, w->key) < 0)
        BUG("websocket: request was not checked");
    w->timer = loop_timer_create(l, on_timeout, w);
    conn.quiet_peer = true; /* Pongs */
    w->conn = conn_create(l, dns, &conn, &callbacks, w);
    return w;
}

void ws_free(struct ws *w)
{
    if (!w)
        return;
    conn_free(w->conn);
    loop_timer_free(w->timer);
    if (w->out.p)
        explicit_bzero(w->out.p, w->out.len);
    buf_release(&w->out);
    buf_release(&w->head);
    free(w);
}
