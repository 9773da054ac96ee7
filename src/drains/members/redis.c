/*
 * redis, rediss: one command for each record (PUBLISH, RPUSH or XADD), or for several lines
 * (redis_pack.c), pipelined over one connection. Replies come in the same order, and every one is
 * read. A record is delivered when its own command succeeded, so an error in the middle of a pipeline affects only the records that it
 * is about.
 *
 *   out   | commands of batch 3 | commands of batch 2 |──▶ conn ──▶ Redis
 *   queue   batch 1 (reply 17 is next), batch 2, batch 3  ◀── replies
 *
 * After an error that is not about one record (out of memory, wrong password, a replica, …) nothing
 * more is sent on the connection. It is closed when its last reply has arrived. The framework backs
 * off and then connects again, perhaps to another server behind the same name.
 *
 * A PUBLISH without a subscriber is delivered, and counted as unsubscribed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "drains/core/worker.h"
#include "drains/members/redis_internal.h"

static struct drain_redis *redis_of(struct drain *d)
{
    if (d->ops != &redis_ops)
        BUG("drain: '%s' taken for 'redis'", d->ops->name);
    return container_of(d, struct drain_redis, link.base);
}

static void disconnect(struct drain_redis *r)
{
    stream_drain_disconnect(&r->link);
    redis_reader_free(r->reader);
    r->reader = NULL;
    if (r->out.p)
        explicit_bzero(r->out.p, r->out.len); /* it may hold the password */
    buf_release(&r->out);
    r->off = 0;
    r->unwritten = 0;
    r->handshake = 0;
    r->draining = false;
}

/* ---- verdicts ---- */

/* Stops sending on this connection. */
static void stop_sending(struct drain_redis *r, enum verdict v, const struct err *why)
{
    if (r->draining && r->failure == VERDICT_HOLD)
        return;
    r->draining = true;
    r->failure = v;
    r->why = *why;
}

static void settle_oldest(struct drain_redis *r, enum verdict v)
{
    struct batch *b = r->queue[r->first].batch;

    buf_release(&r->queue[r->first].counts);
    r->first = (r->first + 1) % REDIS_SLOTS;
    r->len--;
    drain_settle(&r->link.base, b, v);
}

/* Records without a reply are sent again. */
static void settle_unanswered(struct drain_redis *r, const struct err *why)
{
    while (r->len) {
        struct redis_pending *p = &r->queue[r->first];
        struct batch *b = p->batch;

        if (!b->err.code)
            b->err = *why;
        if (p->record == 0) {
            settle_oldest(r, VERDICT_OFFLINE);
            continue;
        }
        memset(batch_outcomes(b) + p->record, VERDICT_RETRY, b->records - p->record);
        settle_oldest(r, VERDICT_MIXED);
    }
}

/* Call it when the connection has ended, for whatever reason. */
static void connection_ended(struct drain_redis *r, bool clean, enum verdict v, const struct err *e)
{
    disconnect(r);
    r->reopen = false;
    settle_unanswered(r, e);
    stream_drain_ended(&r->link, clean, v, -1, e);
}

static void timed_out(struct stream_drain *link, const struct err *e)
{
    connection_ended(container_of(link, struct drain_redis, link), false, VERDICT_OFFLINE, e);
}

/* ---- writing ---- */

static void redis_send(struct drain *d, struct batch *b)
{
    struct drain_redis *r = redis_of(d);
    struct err e = {0, ""};

    if (r->draining) {
        b->err = r->why;
        drain_settle(d, b, r->failure);
        return;
    }
    if (!r->len)
        stream_drain_await(&r->link);
    if (redis_write(r, b, &e) < 0)
        connection_ended(r, false, VERDICT_OFFLINE, &e);
}

static void redis_shelve(struct drain *d, struct batch *b)
{
    redis_drop_output(redis_of(d));
    drain_shelve(d, b);
    drain_charge(b);
}

/* ---- replies ---- */

static enum redis_type wanted(const struct drain_spec *s)
{
    return redis_options_of(s)->mode == REDIS_STREAM ? REDIS_BULK : REDIS_INTEGER;
}

/* The number of records in the command that is answered next; 0 = there is none. */
static uint32_t answered_now(const struct drain_redis *r, struct redis_pending *p)
{
    uint32_t n;

    if (!r->packer)
        return 1;
    if (p->command * sizeof(n) >= p->counts.len)
        return 0;
    memcpy(&n, p->counts.p + p->command++ * sizeof(n), sizeof(n));
    return n;
}

/* The reply to the next record of <p>, or the next ones. */
static enum verdict take_record(struct drain_redis *r, struct redis_pending *p,
                                const struct redis_reply *reply)
{
    struct batch *b = p->batch;
    struct err why = {0, ""};
    enum verdict v = redis_verdict(reply, wanted(r->link.base.spec), &why);
    uint32_t n = answered_now(r, p);

    if (v == VERDICT_REJECTED && n > 1)
        v = VERDICT_RETRY; /* several lines are never too large: nothing is skipped */
    if (v != VERDICT_OFFLINE && !n) {
        v = VERDICT_OFFLINE;
        (void)err_set(&why, EPROTO, "redis: unexpected reply");
    }
    if (v == VERDICT_OFFLINE) {
        b->err = why;
        return v;
    }
    if (v == VERDICT_DELIVERED) {
        r->answered = true;
        if (redis_options_of(r->link.base.spec)->mode == REDIS_PUBLISH && reply->integer == 0)
            r->link.base.counters.unsubscribed += n;
    } else {
        memset(batch_outcomes(b) + p->record, (int)v, n);
        p->failed = true;
        if (v == VERDICT_REJECTED)
            b->refusal = why;
        else if (!b->err.code || v == VERDICT_HOLD)
            b->err = why;
        if (v != VERDICT_REJECTED)
            stop_sending(r, v, &why);
    }
    p->record += n;
    p->in_range += n;
    return v;
}

static enum verdict take_trim(struct drain_redis *r, struct redis_pending *p,
                              const struct redis_reply *reply)
{
    struct err why = {0, ""};
    enum verdict v = redis_verdict(reply, REDIS_STATUS, &why);

    if (v == VERDICT_OFFLINE)
        p->batch->err = why;
    else if (v != VERDICT_DELIVERED && !p->failed) /* else the list would grow without a limit */
        stop_sending(r, v == VERDICT_HOLD ? v : VERDICT_RETRY, &why);
    p->range++;
    p->in_range = 0;
    return v;
}

/* A reply to the oldest batch. -1 = it does not match the command: replies and commands are out of
 * step. */
static int take_reply(struct drain_redis *r, const struct redis_reply *reply)
{
    struct redis_pending *p = &r->queue[r->first];
    struct batch *b = p->batch;
    bool trims = redis_trims(r->link.base.spec);
    enum verdict v = p->in_range < b->ranges[p->range].records ? take_record(r, p, reply)
                                                               : take_trim(r, p, reply);

    if (v == VERDICT_OFFLINE)
        return -1;
    if (!trims && p->in_range == b->ranges[p->range].records) {
        p->range++;
        p->in_range = 0;
    }
    if (p->range < b->nranges)
        return 0;
    if (r->len == r->unwritten)
        return err_set(&b->err, EPROTO, "redis: unexpected reply");
    settle_oldest(r, p->failed ? VERDICT_MIXED : VERDICT_DELIVERED);
    return 0;
}

/* The reply to AUTH or SELECT. False when the connection has ended. */
static bool take_handshake(struct drain_redis *r, const struct redis_reply *reply)
{
    struct err e = {0, ""};
    enum verdict v = redis_verdict(reply, REDIS_STATUS, &e);

    if (v != VERDICT_DELIVERED) {
        connection_ended(r, false, v == VERDICT_HOLD ? v : VERDICT_OFFLINE, &e);
        return false;
    }
    if (--r->handshake == 0) {
        loop_timer_stop(r->link.timer);
        drain_opened(&r->link.base);
    }
    return true;
}

/* A reply without a command: the server says why it disconnects, or it is no Redis server. */
static void on_unexpected_reply(struct drain_redis *r, const struct redis_reply *reply)
{
    struct err e = {0, ""};
    enum verdict v = redis_verdict(reply, 0, &e);

    connection_ended(r, false, v == VERDICT_HOLD ? v : VERDICT_OFFLINE, &e);
}

static void connect_now(struct drain_redis *r);

/* All commands are answered. */
static void on_all_answered(struct drain_redis *r)
{
    loop_timer_stop(r->link.timer);
    if (r->link.closing) {
        disconnect(r);
        drain_closed(&r->link.base);
    } else if (r->draining && r->link.base.state == DRAIN_OPEN) {
        struct err why = r->why;

        connection_ended(r, false, r->failure, &why);
    } else if (r->draining) {
        disconnect(r); /* the framework backs off already */
        if (r->reopen)
            connect_now(r);
    }
}

/* Reads all replies that have arrived. False when the connection has ended. */
static bool take_replies(struct drain_redis *r)
{
    struct redis_reply reply;
    struct err e = {0, ""};
    int rc;

    while ((rc = redis_reader_next(r->reader, &reply, &e)) == 1) {
        r->received = true;
        if (r->handshake) {
            if (!take_handshake(r, &reply))
                return false;
        } else if (!r->len) {
            on_unexpected_reply(r, &reply);
            return false;
        } else if (take_reply(r, &reply) < 0) {
            e = r->queue[r->first].batch->err;
            rc = -1;
            break;
        }
    }
    if (rc == 0)
        return true;
    connection_ended(r, false, VERDICT_OFFLINE, &e);
    return false;
}

/* ---- the connection's callbacks ---- */

static void on_opened(void *arg)
{
    struct drain_redis *r = arg;

    r->link.opened_ms = stream_drain_now(&r->link);
    r->reader = redis_reader_create();
    r->handshake = redis_handshake(&r->out, r->link.base.spec);
    if (r->handshake < 0)
        BUG("redis: a handshake that does not fit");
    if (!r->handshake) {
        drain_opened(&r->link.base);
        return;
    }
    redis_write_out(r);
    stream_drain_await(&r->link);
}

static void on_readable(void *arg)
{
    struct drain_redis *r = arg;
    char part[16 * 1024];
    struct err e = {0, ""};
    size_t n;

    r->received = false;

    while ((n = conn_read(r->link.conn, part, sizeof(part))) > 0) {
        if (redis_reader_feed(r->reader, str_make(part, n), &e) < 0) {
            connection_ended(r, false, VERDICT_OFFLINE, &e);
            return;
        }
        if (!take_replies(r))
            return;
    }
    if (!r->received)
        return; /* bytes that are no whole reply are no progress */
    if (r->len || r->handshake)
        stream_drain_await(&r->link);
    else
        on_all_answered(r);
}

static void on_writable(void *arg)
{
    struct drain_redis *r = arg;
    struct err e = {0, ""};

    if (redis_write_more(r, &e) < 0)
        connection_ended(r, false, VERDICT_OFFLINE, &e);
}

static void on_ended(void *arg, enum conn_end how, const struct err *e)
{
    struct drain_redis *r = arg;
    uint64_t age = stream_drain_now(&r->link) - r->link.opened_ms;
    bool clean = how == CONN_END_CLEAN && !r->len && !r->handshake &&
                 (r->answered || age >= YOUNG_CONNECTION_MS);
    struct err why = *e;

    if (how == CONN_END_CLEAN && !clean)
        (void)err_set(&why, EPIPE, "redis: connection closed before the reply");
    connection_ended(r, clean, VERDICT_OFFLINE, &why);
}

static const struct conn_ops callbacks = {on_opened, on_readable, on_writable, on_ended};

static void connect_now(struct drain_redis *r)
{
    r->reopen = false;
    r->answered = false;
    stream_drain_connect(&r->link, &callbacks);
}

static void redis_open(struct drain *d)
{
    struct drain_redis *r = redis_of(d);

    if (r->link.conn && r->len) {
        r->reopen = true; /* batches that it still answers need not be sent again */
        return;
    }
    disconnect(r);
    connect_now(r);
}

/* ---- create, close, free ---- */

static struct drain *redis_create(struct worker *wk, struct drain_spec *spec, struct err *e)
{
    struct drain_redis *r = stream_drain_create(sizeof(*r), &redis_ops, wk, spec, e);

    if (!r)
        return NULL;
    r->link.silence = "redis: no reply";
    r->link.timed_out = timed_out;
    r->link.base.slots = REDIS_SLOTS;
    if (redis_options_of(spec)->packed) {
        r->packer = xmalloc(sizeof(*r->packer));
        redis_packer_init(r->packer, spec->gzip ? worker_gzip(wk) : NULL);
    }
    buf_init(&r->out, REDIS_OUT_MAX);
    return &r->link.base;
}

static void redis_close(struct drain *d, bool flush)
{
    struct drain_redis *r = redis_of(d);
    struct err e = {0, ""};

    if (d->closed)
        return;
    r->link.closing = true;
    if (flush && r->link.conn && r->len)
        return; /* the replies arrive, or the worker closes again without <flush> */
    (void)err_set(&e, ECANCELED, "redis: closed before the reply");
    disconnect(r);
    settle_unanswered(r, &e);
    drain_closed(d);
}

static void redis_free(struct drain *d)
{
    struct drain_redis *r = redis_of(d);

    disconnect(r);
    if (r->packer)
        redis_packer_release(r->packer);
    free(r->packer);
    stream_drain_free(&r->link);
}

const struct drain_ops redis_ops = {
    .name = "redis",
    .create = redis_create,
    .open = redis_open,
    .send = redis_send,
    .shelve = redis_shelve,
    .close = redis_close,
    .free = redis_free,
};
