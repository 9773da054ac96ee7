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

/* Looks in a stream for where the client is. */
struct seek {
    uint64_t stream;
    const struct tail_place *place;
    bool met;  /* it has come to the file */
    bool done; /* it is behind it, or there is no such place */
};

struct drain_tail {
    struct drain base;
    struct tail_port *port;    /* the spec's */
    struct tail_batch out;     /* one at a time */
    struct tail_range *ranges; /* owned: of <out> */
    unsigned ranges_cap;
    struct seek *seeks; /* owned: of the streams that were read, while the port has places */
    unsigned nseeks;
    struct filter_run *filter; /* owned; NULL: the port has none */
    bool away;                 /* <out> is with the control thread */
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
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    filter_free(p->filter);
    free(p->places);
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

static void note_ranges(struct drain_tail *t, const struct batch *b)
{
    if (t->ranges_cap < b->nranges) {
        t->ranges_cap = b->nranges;
        t->ranges = xrealloc(t->ranges, t->ranges_cap * sizeof(*t->ranges));
    }
    for (unsigned i = 0; i < b->nranges; i++)
        t->ranges[i] = (struct tail_range){
            identity_key(b->ranges[i].cursor->cursor.stream->identity), b->ranges[i].records};
}

static void tail_send(struct drain *d, struct batch *b)
{
    struct drain_tail *t = tail_of(d);

    if (t->port->framed)
        note_ranges(t, b);

    t->away = true;
    t->out = (struct tail_batch){.mail.handle = take,
                                 .port = t->port,
                                 .body = buf_str(&b->body),
                                 .records = b->records,
                                 .ranges = t->ranges,
                                 .back = worker_mailbox(d->worker),
                                 .batch = b};
    mailbox_post(t->port->control, &t->out.mail);
}

/* ---- what is wanted ---- */

static struct seek *seek_of(struct drain_tail *t, const struct stream *s)
{
    uint64_t key;
    struct seek *k;

    for (unsigned i = 0; i < t->nseeks; i++)
        if (t->seeks[i].stream == s->id)
            return &t->seeks[i];
    t->seeks = xrealloc(t->seeks, (t->nseeks + 1) * sizeof(*t->seeks));
    k = &t->seeks[t->nseeks++];
    *k = (struct seek){.stream = s->id, .done = true};
    key = identity_key(s->identity);
    for (unsigned i = 0; i < t->port->nplaces; i++)
        if (t->port->places[i].key == key) {
            k->place = &t->port->places[i];
            k->done = false;
        }
    return k;
}

/* The client has not had <r>. Its cursor begins somewhat before the place, at that second: what
 * comes before the file is had, what is behind it is not; if the file is gone, all of a later
 * second is not. */
static bool is_new(struct drain_tail *t, const struct stream *s, const struct record *r)
{
    struct seek *k = seek_of(t, s);

    if (k->done)
        return true;
    if (r->segment == k->place->segment) {
        k->met = true;
        k->done = r->offset > k->place->off;
    } else {
        k->done = k->met || (r->time.len && clock_parse(r->time.p, r->time.len) > k->place->second);
    }
    return k->done;
}

static bool is_in_time(const struct tail_port *p, const struct record *r)
{
    int64_t at;

    if ((!p->since && p->until == INT64_MAX) || !r->time.len)
        return true;
    at = clock_parse(r->time.p, r->time.len);
    return at >= p->since && at <= p->until;
}

static bool is_of_last_run(struct stream *s, uint32_t no)
{
    const struct segment *seg = stream_segment(s, no);

    return !seg || seg->restart == list_entry(s->segments.prev, struct segment, node)->restart;
}

static enum drain_tap_answer ask_filter(struct drain_tail *t, const struct record *r)
{
    static const enum drain_tap_answer answers[] = {
        [FILTER_HIDE] = TAP_PASS,
        [FILTER_PASS] = TAP_TAKE,
        [FILTER_LATER] = TAP_LATER,
    };

    return t->filter ? answers[filter_run_ask(t->filter, r->msg)] : TAP_TAKE;
}

static enum drain_tap_answer wants(struct drain *d, const struct drain_cursor *c,
                                   const struct record *r)
{
    struct drain_tail *t = tail_of(d);
    const struct tail_port *p = t->port;

    if (p->previous && is_of_last_run(c->cursor.stream, c->cursor.sent.pos.seg))
        return TAP_PASS;
    if (r->flags & RECORD_GAP)
        return TAP_TAKE;
    if ((p->nplaces && !is_new(t, c->cursor.stream, r)) || !(p->fds & 1U << r->fd) ||
        !is_in_time(p, r))
        return TAP_PASS;
    return ask_filter(t, r);
}

static void turn(struct drain *d)
{
    if (tail_of(d)->filter)
        filter_run_turn(tail_of(d)->filter);
}

/* It has been behind for a while. */
static bool skips(struct drain *d, const struct drain_cursor *c)
{
    uint64_t now = loop_now(worker_loop(d->worker));

    return !tail_of(d)->port->lossless && now - c->behind_at > TAIL_BEHIND_MS &&
           cursor_lag(&c->cursor, &c->cursor.sent) > TAIL_BEHIND_BYTES;
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

    if (atomic_load_explicit(&t->port->follow, memory_order_relaxed) || c->cursor.late)
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
    if (t->port->filter)
        t->filter = filter_run_create(t->port->filter, worker_searches(wk));
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
    filter_run_free(t->filter);
    free(t->ranges);
    free(t->seeks);
    free(t);
}

static const struct drain_tap tap = {turn, wants, skips, dry};

static const struct drain_ops ops = {
    .name = "tail",
    .tap = &tap,
    .create = tail_create,
    .send = tail_send,
    .close = tail_close,
    .free = tail_free,
};

static const struct drain_scheme schemes[] = {
    {.name = "tail",
     .member = &drain_tail,
     .flags = DRAIN_TRANSIENT,
     .promise = PROMISE_CONFIRMED,
     .format = FORMAT_JSON,
     .framing = FRAMING_LF},
    {.name = "tail+framed",
     .member = &drain_tail,
     .flags = DRAIN_TRANSIENT | DRAIN_FRAMED,
     .promise = PROMISE_CONFIRMED,
     .format = FORMAT_JSON,
     .framing = FRAMING_LF},
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

    (void)buf_addf(&url, "tail%s://%llu", port->framed ? "+framed" : "",
                   (unsigned long long)number); /* it fits */
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
