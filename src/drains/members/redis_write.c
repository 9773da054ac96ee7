/*
 * Writing for redis.c: batches become commands, and commands are written to the socket.
 *
 *   queue   | answered in part | all with the kernel | taken in part | encoded | a batch yet |
 *                                                    |<---------- unwritten -------------->|
 *                                                    |<------- out ----------->|
 *
 * <out> is dropped when the peer takes nothing of it for a while, so that a server that hangs takes
 * no memory from other drains. When the peer goes on, the commands are encoded again, one batch at
 * a time. The rest of a batch that was taken in part must be the same then.
 */
#include <errno.h>
#include <string.h>

#include "base/map.h"
#include "drains/core/worker.h"
#include "drains/members/redis_internal.h"

#define OUT_KEPT (64 * 1024) /* a larger buffer is freed */

static struct redis_pending *pending_at(struct drain_redis *r, unsigned i)
{
    return &r->queue[(r->first + i) % REDIS_SLOTS];
}

/* The oldest batch that is not completely with the kernel; there is one. */
static struct redis_pending *first_unwritten(struct drain_redis *r)
{
    return pending_at(r, r->len - r->unwritten);
}

/* The kernel has taken <n> more bytes of commands. */
static void taken(struct drain_redis *r, size_t n)
{
    if (!n)
        return;
    while (n) {
        struct redis_pending *p = first_unwritten(r);
        size_t left = p->len - p->taken, part = n < left ? n : left;

        p->taken += part;
        p->batch->extra -= part;
        n -= part;
        drain_charge(p->batch);
        if (p->taken < p->len)
            break;
        r->unwritten--;
        drain_body_sent(&r->link.base, p->batch, false);
    }
    for (unsigned i = r->len - r->unwritten; i < r->len;
         i++) /* their turn comes as it progresses */
        drain_moved(&r->link.base, pending_at(r, i)->batch);
}

static void out_drop(struct drain_redis *r)
{
    r->off = 0;
    if (r->handshake)
        explicit_bzero(r->out.p, r->out.len);
    buf_clear(&r->out);
    if (r->out.cap > OUT_KEPT)
        buf_release(&r->out);
}

void redis_write_out(struct drain_redis *r)
{
    size_t left = r->out.len - r->off, n;

    if (!left)
        return;
    n = conn_write(r->link.conn, r->out.p + r->off, left);
    r->off += n;
    if (n == left)
        out_drop(r);
    if (r->unwritten)
        taken(r, n);
}

/* Encodes the commands of <p> (again), behind what is in <out>, and writes them. <out> keeps only
 * what the kernel does not take at once, which is seldom anything, so that encoding needs no memory
 * of its own. -1 = it cannot be done. Then the connection cannot be used any more, because the peer
 * may have a part of a command. */
static int encode(struct drain_redis *r, struct redis_pending *p, struct err *e)
{
    struct buf *commands = &r->out;
    size_t before, len, n;

    if (drain_unshelve(&r->link.base, p->batch) < 0)
        return err_set(e, ESTALE, "redis: log file changed while a command was sent");
    buf_consume(&r->out, r->off);
    r->off = 0;
    if (!r->out.len)
        commands = worker_scratch(r->link.base.worker, REDIS_OUT_MAX);
    before = commands->len;
    if (redis_encode(commands, p->batch, r->packer, &p->counts) < 0)
        return err_set(e, ENOMEM, "redis: no room for the commands");
    if (r->packer)
        redis_packer_trim(r->packer);
    len = commands->len - before;
    if (p->taken &&
        (len != p->len || hash_stable(commands->p + p->taken, len - p->taken) != p->rest))
        return err_set(e, ESTALE, "redis: log file changed while a command was sent");
    p->len = len;
    p->encoded = true;
    p->batch->extra = len - p->taken;
    drain_body_copied(&r->link.base, p->batch);
    if (commands == &r->out)
        return 0; /* <writable> follows for what is in front of it */
    n = conn_write(r->link.conn, commands->p + p->taken, len - p->taken);
    if (buf_add(&r->out, commands->p + p->taken + n, len - p->taken - n) < 0)
        return err_set(e, ENOMEM, "redis: no room for the commands");
    taken(r, n);
    return 0;
}

int redis_write(struct drain_redis *r, struct batch *b, struct err *e)
{
    bool behind = r->unwritten && !pending_at(r, r->len - 1)->encoded;
    struct redis_pending *p = pending_at(r, r->len++);

    *p = (struct redis_pending){.batch = b,
                                .counts = BUF_INIT(BATCH_RECORDS_MAX * sizeof(uint32_t))};
    r->unwritten++;
    if (!behind)
        return encode(r, p, e);
    drain_moved(&r->link.base, b);
    return 0;
}

int redis_write_more(struct drain_redis *r, struct err *e)
{
    redis_write_out(r);
    while (r->unwritten && !r->out.len)
        if (encode(r, first_unwritten(r), e) < 0)
            return -1;
    return 0;
}

void redis_drop_output(struct drain_redis *r)
{
    for (unsigned i = r->len - r->unwritten; i < r->len; i++) {
        struct redis_pending *p = pending_at(r, i);

        if (p->encoded && p->taken)
            p->rest = hash_stable(r->out.p + r->off, p->len - p->taken);
        p->encoded = false;
        p->batch->extra = 0;
        drain_charge(p->batch);
    }
    if (r->unwritten)
        out_drop(r);
}
