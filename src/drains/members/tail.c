/* See tail.h. A drain closes when its batch has come back: the control thread always answers. */
#include "drains/members/tail.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "drains/members/members.h"

struct tail_own {
    struct tail_port *port; /* one reference */
};

struct drain_tail {
    struct drain base;
    struct tail_port *port; /* the spec's */
    struct tail_batch out;  /* one at a time */
    bool away;              /* <out> is with the control thread */
    bool closing;
};

struct dry_mail {
    struct mail mail;
    struct tail_port *port; /* one reference */
    uint64_t stream;
};

extern const struct drain_member drain_tail;

static struct drain_tail *tail_of(struct drain *d)
{
    if (d->ops != drain_tail.ops)
        BUG("drain: '%s' taken for 'tail'", d->ops->name);
    return container_of(d, struct drain_tail, base);
}

struct tail_port *tail_port_ref(struct tail_port *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void tail_port_unref(struct tail_port *p)
{
    if (p && atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) == 1)
        free(p);
}

/* ---- a batch there and back ---- */

static void take(void *control, struct mail *m)
{
    struct tail_batch *b = container_of(m, struct tail_batch, mail);

    (void)control;
    if (b->port->tail)
        b->port->take(b->port->tail, b);
    else
        tail_batch_done(b);
}

static void came_back(void *worker, struct mail *m)
{
    struct drain_tail *t = container_of(m, struct drain_tail, out.mail);

    (void)worker;
    t->away = false;
    drain_settle(&t->base, t->out.batch, VERDICT_DELIVERED);
    if (t->closing && !t->base.closed)
        drain_closed(&t->base);
}

void tail_batch_done(struct tail_batch *b)
{
    b->mail.handle = came_back;
    mailbox_post(b->back, &b->mail);
}

static void tail_send(struct drain *d, struct batch *b)
{
    struct drain_tail *t = tail_of(d);

    t->away = true;
    t->out = (struct tail_batch){.mail.handle = take,
                                 .port = t->port,
                                 .body = buf_str(&b->body),
                                 .records = b->records,
                                 .back = worker_mailbox(d->worker),
                                 .batch = b};
    mailbox_post(t->port->control, &t->out.mail);
}

/* ---- what is wanted ---- */

static bool wants(struct drain *d, const struct drain_cursor *c, const struct record *r)
{
    const struct tail_port *p = tail_of(d)->port;
    int64_t at;

    (void)c;
    if (r->flags & RECORD_GAP)
        return true;
    if (!(p->fds & 1U << r->fd))
        return false;
    if ((!p->since && p->until == INT64_MAX) || !r->time.len)
        return true;
    at = clock_parse(r->time.p, r->time.len);
    return at >= p->since && at <= p->until;
}

static void tell_dry(void *control, struct mail *m)
{
    struct dry_mail *d = container_of(m, struct dry_mail, mail);

    (void)control;
    if (d->port->tail)
        d->port->dry(d->port->tail, d->stream);
    tail_port_unref(d->port);
    free(d);
}

static void dry(struct drain *d, const struct drain_cursor *c)
{
    struct drain_tail *t = tail_of(d);
    struct dry_mail *m;

    if (t->port->follow || c->cursor.late)
        return;
    m = xcalloc(1, sizeof(*m));
    m->mail.handle = tell_dry;
    m->port = tail_port_ref(t->port);
    m->stream = c->cursor.stream->id;
    mailbox_post(t->port->control, &m->mail);
}

/* ---- life ---- */

static struct drain *tail_create(struct worker *wk, struct drain_spec *spec, struct err *e)
{
    struct drain_tail *t = xcalloc(1, sizeof(*t));

    (void)e; /* nothing can fail */
    drain_init(&t->base, drain_tail.ops, wk, spec);
    t->base.batch_limit = TAIL_BATCH_BYTES;
    t->port = ((struct tail_own *)spec->own)->port;
    return &t->base;
}

static void tail_close(struct drain *d, bool flush)
{
    struct drain_tail *t = tail_of(d);

    (void)flush; /* what is away comes back soon, whatever becomes of it */
    t->closing = true;
    if (!t->away && !d->closed)
        drain_closed(d);
}

static void tail_free(struct drain *d)
{
    struct drain_tail *t = tail_of(d);

    if (t->away)
        BUG("tail: freed while its batch is away");
    drain_release(d);
    free(t);
}

static const struct drain_tap tap = {wants, dry};

static const struct drain_ops ops = {
    .name = "tail",
    .tap = &tap,
    .create = tail_create,
    .send = tail_send,
    .close = tail_close,
    .free = tail_free,
};

static const struct drain_scheme schemes[] = {
    {"tail", &drain_tail, 0, DRAIN_TRANSIENT, PROMISE_CONFIRMED, FORMAT_JSON, FRAMING_LF, NULL},
    {.name = NULL},
};

static void set_defaults(struct drain_spec *s)
{
    s->format.sd = s->format.events = true;
    s->format.max = TAIL_RECORD_MAX;
}

static void release(void *own)
{
    tail_port_unref(((struct tail_own *)own)->port);
}

const struct drain_member drain_tail = {
    .ops = &ops,
    .schemes = schemes,
    .own_size = sizeof(struct tail_own),
    .set_defaults = set_defaults,
    .release = release,
};

struct drain_spec *tail_spec_create(struct tail_port *port, uint64_t number, enum format format,
                                    struct err *e)
{
    static const struct drain_member *const members[] = {&drain_tail, NULL};
    struct buf url = BUF_INIT(64);
    struct drain_spec *s;

    (void)buf_addf(&url, "tail://%llu", (unsigned long long)number); /* it fits */
    s = drain_spec_create_of(members, buf_str(&url), false, e);
    buf_release(&url);
    if (!s) {
        tail_port_unref(port);
        return NULL;
    }
    ((struct tail_own *)s->own)->port = port;
    s->format.format = format;
    return s;
}
