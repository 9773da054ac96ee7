/*
 * One POST for each batch, on up to connections= connections (HTTP/1.1) or streams (HTTP/2). The
 * body is the batch as the format wrote it, gzipped with compression=gzip. http_verdict.c says what
 * an answer means; the client reads the answer's body and throws it away.
 *
 * The framework sends a stream's next batch only after the verdict on the one before, so that order
 * is kept although requests overtake each other.
 *
 * A member that posts has these ops, and a struct http_kind in its descriptor. Where that says so, an
 * answer is only a receipt: http_ack.c asks what has become of it.
 *
 *   drain ──▶ origin (its connections)
 *     ├ idle posts
 *     └ busy posts ──▶ call, batch
 *
 * Invariant: a post is busy exactly while its batch is unsettled.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "drains/base/http_post.h"
#include "drains/core/drain.h"
#include "drains/core/gzip.h"
#include "drains/core/worker.h"
#include "net/http_client.h"

#define GZIPPED_MAX (BATCH_GROWTH_MAX + 64 * 1024) /* incompressible data grows a little */
#define GZIPPED_KEPT (4 * 1024)                    /* a larger buffer is freed */
#define BORROWED_MAX (4 * 1024) /* a small body is sent together with its head, and kept */

/* A request in flight, or ready for the next one. */
struct post {
    struct list node;
    struct drain_http *drain;
    struct http_call *call;
    struct batch *batch;
    struct buf gzipped; /* the body as it is sent; unused when that is the batch's own */
    size_t len;         /* of what is sent ... */
    size_t off;         /* ... bytes that the kernel has taken */
};

struct drain_http {
    struct drain base;
    const struct http_kind *kind;
    struct tls_config *tls;     /* owned; NULL for http://, and without <origin> */
    struct http_origin *origin; /* owned; NULL until it is needed, and while the drain rests */
    struct gzip *gzip;          /* the worker's; NULL without compression=gzip */
    struct http_headers headers;
    struct http_acks *acks; /* NULL = a good answer confirms */
    struct list idle, busy; /* struct post; created on demand, at most base.slots */
    bool closing;
};

static struct drain_http *http_of(struct drain *d)
{
    if (d->ops != &http_ops)
        BUG("drain: '%s' taken for 'http'", d->ops->name);
    return container_of(d, struct drain_http, base);
}

static void http_rest(struct drain *d)
{
    struct drain_http *h = http_of(d);

    if (!list_empty(&h->busy))
        return;
    list_for_each_safe (it, &h->idle) {
        struct post *p = list_entry(it, struct post, node);

        list_del(&p->node);
        buf_release(&p->gzipped);
        free(p);
    }
    http_origin_free(h->origin);
    h->origin = NULL;
    worker_tls_free(d->worker, h->tls);
    h->tls = NULL;
}

static void http_free(struct drain *d)
{
    struct drain_http *h = http_of(d);

    if (!list_empty(&h->busy))
        BUG("http: drain freed with a request under way");
    http_rest(d);
    http_acks_free(h->acks);
    http_headers_release(&h->headers);
    drain_release(d);
    free(h);
}

static int set_up(struct drain_http *h, struct worker *wk, struct err *e)
{
    const struct drain_spec *s = h->base.spec;
    struct http_client *client = worker_http(wk);
    struct http_origin_config cfg = {
        .url = &s->url,
        .tls = s->scheme->flags & DRAIN_TLS,
        .anonymous = s->auth != AUTH_BASIC,
        .egress = drain_egress(&h->base),
        .connections = s->connections + (h->acks ? 1 : 0),
        .timeout_ms = s->timeout_ms,
        .connect_timeout_ms =
            s->timeout_ms < CONNECT_TIMEOUT_MS ? s->timeout_ms : CONNECT_TIMEOUT_MS,
    };

    if (!client)
        return err_set(e, ENOMEM, "http: cannot create a client");
    if (cfg.tls) {
        h->tls = worker_tls(wk, s, e);
        if (!h->tls)
            return -1;
        cfg.tls_config = h->tls;
    }
    h->origin = http_origin_create(client, &cfg);
    return 0;
}

static void on_acknowledged(void *request, enum verdict v, const struct err *why);

static struct drain *http_create(struct worker *wk, struct drain_spec *spec, struct err *e)
{
    struct drain_http *h = xcalloc(1, sizeof(*h));

    (void)e; /* what may fail is done when there is something to send */
    drain_init(&h->base, &http_ops, wk, spec);
    h->kind = spec->scheme->member->kind;
    h->base.slots = spec->connections;
    h->gzip = spec->gzip ? worker_gzip(wk) : NULL;
    list_init(&h->idle);
    list_init(&h->busy);
    http_headers_init(&h->headers, spec, h->kind->add_headers);
    if (h->kind->later && h->kind->later->wanted(spec))
        h->acks = http_acks_create(worker_loop(wk), h->kind->later, spec, h->headers.list,
                                   on_acknowledged);
    return &h->base;
}

static struct post *post_take(struct drain_http *h, struct batch *b)
{
    struct post *p;

    if (list_empty(&h->idle)) {
        p = xcalloc(1, sizeof(*p));
        p->drain = h;
        buf_init(&p->gzipped, GZIPPED_MAX);
    } else {
        p = list_entry(h->idle.next, struct post, node);
        list_del(&p->node);
    }
    p->batch = b;
    list_add_tail(&h->busy, &p->node);
    return p;
}

static void gzipped_release(struct post *p)
{
    if (p->gzipped.cap > GZIPPED_KEPT)
        buf_release(&p->gzipped);
    buf_clear(&p->gzipped);
    p->batch->extra = p->gzipped.cap;
}

/* Settles the batch and makes the post idle. */
static void post_settle(struct post *p, enum verdict v)
{
    struct drain_http *h = p->drain;
    struct batch *b = p->batch;

    gzipped_release(p);
    (void)drain_charge_answer(b, 0);
    b->member = NULL; /* it may be sent again with another post */
    p->batch = NULL;
    p->call = NULL;
    list_del(&p->node);
    list_add_head(&h->idle, &p->node);
    drain_settle(&h->base, b, v);
}

/* ---- the body ---- */

/* Encodes the body, unless it is still there. */
static int post_encode(struct post *p, struct err *e)
{
    struct drain_http *h = p->drain;
    struct batch *b = p->batch;

    if (h->gzip && p->gzipped.len)
        return 0;
    if (drain_unshelve(&h->base, b) < 0)
        return err_set(e, ESTALE, "log file changed while a request was sent");
    if (!h->gzip)
        return 0;
    if (gzip_pack(h->gzip, buf_str(&b->body), &p->gzipped, e) < 0)
        return -1;
    b->extra = p->gzipped.cap;
    if (!h->kind->want_body)
        drain_shelve(&h->base, b); /* the answer is not compared with it */
    drain_charge(b);
    return 0;
}

static ssize_t post_read(void *arg, char *into, size_t room, struct err *e)
{
    struct post *p = arg;
    struct drain_http *h = p->drain;
    size_t n = p->len - p->off < room ? p->len - p->off : room;
    struct str all;

    if (!n)
        return 0;
    if (post_encode(p, e) < 0)
        return -1;
    all = buf_str(h->gzip ? &p->gzipped : &p->batch->body);
    if (all.len != p->len)
        return err_set(e, ESTALE, "log file changed while a request was sent");
    memcpy(into, all.p + p->off, n);
    p->off += n;
    drain_moved(&h->base, p->batch);
    if (p->off == p->len) {
        gzipped_release(p);
        drain_body_sent(&h->base, p->batch, h->kind->want_body);
        drain_charge(p->batch);
    }
    return (ssize_t)n;
}

static bool post_may_keep(void *arg, size_t bytes)
{
    struct post *p = arg;

    return drain_charge_answer(p->batch, bytes);
}

static void post_rewind(void *arg)
{
    struct post *p = arg;

    p->off = 0;
}

static void http_shelve(struct drain *d, struct batch *b)
{
    struct post *p = b->member;

    if (p)
        gzipped_release(p);
    drain_shelve(d, b);
    drain_charge(b);
}

static void maybe_closed(struct drain_http *h)
{
    if (h->closing && list_empty(&h->busy) && !h->base.closed)
        drain_closed(&h->base);
}

/* The receiver has said what has become of a request, or has said nothing for too long. */
static void on_acknowledged(void *request, enum verdict v, const struct err *why)
{
    struct post *p = request;
    struct drain_http *h = p->drain;

    p->batch->err = *why;
    drain_set_slots(&h->base, http_acks_slots(h->acks));
    post_settle(p, v);
    maybe_closed(h);
}

/* False: <a> has no receipt. */
static bool await_acknowledgement(struct post *p, const struct http_answer *a)
{
    struct drain_http *h = p->drain;
    uint64_t number;

    if (!h->kind->later->receipt(a->body, &number)) {
        (void)err_set(&p->batch->err, EPROTO,
                      "the answer has no number to ask for: acknowledgement is "
                      "not enabled");
        return false;
    }
    p->call = NULL;
    p->batch->fixed -= REQUEST_BYTES;
    (void)drain_charge_answer(p->batch, 0);
    drain_charge(p->batch);
    http_acks_add(h->acks, h->origin, p, number);
    drain_set_slots(&h->base, http_acks_slots(h->acks));
    return true;
}

static void on_answer(void *arg, const struct http_answer *a, const struct err *e)
{
    struct post *p = arg;
    struct drain_http *h = p->drain;
    struct batch *b = p->batch;
    enum verdict v = h->kind->verdict(a, e, b);

    drain_count_connects(&h->base, a->connects, a->unconnected);
    b->retry_after_ms = v == VERDICT_DELIVERED ? -1 : a->retry_after_ms;
    if (h->acks && v == VERDICT_DELIVERED) {
        if (await_acknowledgement(p, a))
            return;
        v = VERDICT_HOLD;
    }
    post_settle(p, v);
    maybe_closed(h);
}

/* It may hold a password. */
static void target_release(struct buf *text)
{
    if (text->p)
        explicit_bzero(text->p, text->len);
    buf_release(text);
}

/* The target, with what it has for <b>. <text> is for the case that it has something. */
static struct str target_of(const struct drain_http *h, const struct batch *b, struct buf *text)
{
    struct str target = str_of(h->base.spec->target);

    if (!h->kind->add_to_target)
        return target;
    if (buf_add_str(text, target) < 0 || h->kind->add_to_target(b, text) < 0)
        BUG("http: a target over %d bytes", 2 * URL_MAX);
    return buf_str(text);
}

/* The body of a probe is not kept while it connects to a peer that may not exist. A large body is
 * not kept while it makes no progress. */
static void http_post(struct drain *d, struct batch *b)
{
    struct drain_http *h = http_of(d);
    struct post *p = post_take(h, b);
    bool borrowed = d->healthy && b->body.len <= BORROWED_MAX && !h->gzip;
    struct buf target = BUF_INIT(2 * URL_MAX);
    struct http_request req = {
        .method = "POST",
        .target = target_of(h, b, &target),
        .headers = h->headers.list,
        .want_body = h->kind->want_body,
        .may_keep = post_may_keep,
    };

    b->member = borrowed ? NULL : p;
    b->fixed = REQUEST_BYTES + b->ranges_cap * sizeof(*b->ranges);
    drain_charge(b);
    p->off = 0;
    if ((!h->origin && set_up(h, d->worker, &b->err) < 0) || post_encode(p, &b->err) < 0) {
        target_release(&target);
        post_settle(p, VERDICT_RETRY);
        return;
    }
    req.body = buf_str(h->gzip ? &p->gzipped : &b->body);
    p->len = req.body.len;
    if (!borrowed) {
        req.read_body = post_read;
        req.rewind_body = post_rewind;
    }
    p->call = http_send(h->origin, &req, on_answer, p);
    target_release(&target);
    if (!borrowed && d->healthy)
        drain_moved(d, b);
    else if (!borrowed)
        http_shelve(d, b);
}

static void http_close(struct drain *d, bool flush)
{
    struct drain_http *h = http_of(d);

    h->closing = true;
    if (h->acks && !flush)
        http_acks_clear(h->acks);
    list_for_each_safe (it, &h->busy) {
        struct post *p = list_entry(it, struct post, node);

        if (flush)
            break; /* the answers arrive, or the worker closes again without <flush> */
        if (p->call)
            http_cancel(p->call);
        (void)err_set(&p->batch->err, ECANCELED, "drain closed before the answer");
        post_settle(p, VERDICT_OFFLINE);
    }
    maybe_closed(h);
}

const struct drain_ops http_ops = {
    .name = "http",
    .create = http_create,
    .send = http_post,
    .shelve = http_shelve,
    .rest = http_rest,
    .close = http_close,
    .free = http_free,
};

const struct http_kind http_status_alone = {.verdict = http_status_verdict};
