#include "window/tails.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/mem.h"
#include "drains/members/tail.h"
#include "window/query.h"

#define TYPE_TEXT "text/plain; charset=utf-8"

struct tails {
    struct tails_env env;
    struct list all; /* of struct tail */
    unsigned n;
    uint64_t number; /* of the last one */
    bool stopping;
};

/* One of its streams. */
struct tail_stream {
    struct list node; /* tail->streams */
    uint64_t id;
    unsigned worker;
};

struct tail {
    struct list node; /* tails->all */
    struct tails *set;
    struct window_query query;
    struct http_reply *reply;   /* NULL: the client has gone */
    struct tail_port *port;     /* one reference */
    struct drain_spec *spec;    /* one reference */
    struct list streams;        /* of struct tail_stream: those that are read */
    bool done;                  /* there is nothing more to come: it ends when all is written */
    struct list batches;        /* of struct tail_batch: they wait for ... */
    struct tail_batch *writing; /* ... this one to be written; NULL = nothing is */
    uint64_t first_new;         /* streams from this id on were not there when it began */
    uint32_t caller;
};

static void refuse(struct http_reply *r, int status, const char *text)
{
    http_reply_send(r, status, TYPE_TEXT, str_of(text));
}

/* ---- its streams ---- */

static struct tail_stream *find(const struct tail *t, uint64_t id)
{
    list_for_each (it, &t->streams) {
        struct tail_stream *s = list_entry(it, struct tail_stream, node);

        if (s->id == id)
            return s;
    }
    return NULL;
}

static void attach(struct tail *t, struct origin *o)
{
    const struct tails_env *env = &t->set->env;
    struct tail_stream *s = xcalloc(1, sizeof(*s));
    bool fresh = o->id >= t->first_new, past = !fresh && t->query.past;
    struct position end;
    struct worker *wk;

    s->id = o->id;
    s->worker = (unsigned)(o->id % env->nworkers);
    list_add_tail(&t->streams, &s->node);
    wk = env->workers[s->worker];
    origin_introduce(o, s->worker);
    if (past)
        origin_recall(o, s->worker);
    worker_attach(wk, o->id, t->spec, !fresh && !past && env->end_of(o, &end) ? &end : NULL, NULL,
                  past ? &t->query.since_s : NULL);
}

static bool wanted(const struct tail *t, const struct origin *o)
{
    return !o->finished && window_query_fits(&t->query, o->identity) && !find(t, o->id);
}

void tails_seen(struct tails *ts, struct origin *o)
{
    if (!ts)
        return;
    list_for_each (it, &ts->all) {
        struct tail *t = list_entry(it, struct tail, node);

        if (!t->done && (t->query.follow || list_empty(&t->streams)) && wanted(t, o))
            attach(t, o);
    }
}

static void detach_all(struct tail *t)
{
    while (!list_empty(&t->streams)) {
        struct tail_stream *s = list_entry(t->streams.next, struct tail_stream, node);

        worker_detach(t->set->env.workers[s->worker], s->id, t->spec);
        list_del(&s->node);
        free(s);
    }
}

/* ---- the end ---- */

static void give_back(struct tail *t)
{
    if (t->writing)
        tail_batch_done(t->writing);
    t->writing = NULL;
    while (!list_empty(&t->batches)) {
        struct tail_batch *b = list_entry(t->batches.next, struct tail_batch, node);

        list_del(&b->node);
        tail_batch_done(b);
    }
}

/* <whole>: the client has all that it asked for. */
static void tail_end(struct tail *t, bool whole)
{
    struct http_reply *r = t->reply;

    detach_all(t);
    if (t->port)
        t->port->tail = NULL; /* what is under way is answered without it */
    list_del(&t->node);
    t->set->n--;
    if (r)
        http_stream_end(r, whole);
    give_back(t);
    tail_port_unref(t->port);
    drain_spec_unref(t->spec);
    window_query_release(&t->query);
    free(t);
}

/* ---- writing ---- */

/* <t> may be gone afterwards. */
static void write_next(struct tail *t)
{
    struct tail_batch *b;

    if (t->writing)
        return;
    if (list_empty(&t->batches)) {
        if (t->done)
            tail_end(t, true);
        return;
    }
    b = list_entry(t->batches.next, struct tail_batch, node);
    list_del(&b->node);
    t->writing = b;
    http_stream_write(t->reply, b->body);
}

static void take(void *tail, struct tail_batch *b)
{
    struct tail *t = tail;

    list_add_tail(&t->batches, &b->node);
    write_next(t);
}

static void written(void *tail)
{
    struct tail *t = tail;

    tail_batch_done(t->writing);
    t->writing = NULL;
    write_next(t);
}

static void gone(void *tail)
{
    struct tail *t = tail;

    t->reply = NULL;
    tail_end(t, false);
}

/* ---- until all is read ---- */

/* <t> may be gone afterwards. */
static void leave(struct tail *t, struct tail_stream *s)
{
    list_del(&s->node);
    free(s);
    if (t->query.follow || !list_empty(&t->streams))
        return;
    t->done = true;
    write_next(t);
}

static void dry(void *tail, uint64_t stream)
{
    struct tail *t = tail;
    struct tail_stream *s = find(t, stream);

    if (!s)
        return;
    worker_detach(t->set->env.workers[s->worker], s->id, t->spec);
    leave(t, s);
}

void tails_forgotten(struct tails *ts, unsigned worker, uint64_t stream)
{
    if (!ts)
        return;
    list_for_each_safe (it, &ts->all) {
        struct tail *t = list_entry(it, struct tail, node);
        struct tail_stream *s = find(t, stream);

        if (s && s->worker == worker)
            leave(t, s);
    }
}

/* ---- the beginning ---- */

static unsigned of_caller(const struct tails *ts, uint32_t caller)
{
    unsigned n = 0;

    list_for_each (it, &ts->all)
        n += list_entry(it, struct tail, node)->caller == caller;
    return n;
}

static bool has_room(struct tails *ts, struct http_reply *r)
{
    if (ts->stopping) {
        refuse(r, 503, "stopping\n");
        return false;
    }
    if (ts->n < TAILS_MAX && of_caller(ts, http_reply_process(r)) < TAILS_CALLER_MAX)
        return true;
    http_reply_header(r, "retry-after", "5");
    refuse(r, 429, "too many tails at once\n");
    return false;
}

static struct tail_port *make_port(struct tail *t)
{
    struct tail_port *p = xcalloc(1, sizeof(*p));

    atomic_init(&p->refs, 2); /* ours and the spec's */
    p->control = t->set->env.mailbox;
    p->tail = t;
    p->take = take;
    p->dry = dry;
    p->follow = t->query.follow;
    p->fds = t->query.fds;
    p->until = t->query.until_s;
    return p;
}

/* Takes <q> over. NULL: <r> was answered. */
static struct tail *create(struct tails *ts, const struct window_query *q, struct http_reply *r)
{
    struct tail *t = xcalloc(1, sizeof(*t));
    struct err e;

    t->set = ts;
    t->query = *q;
    t->reply = r;
    t->caller = http_reply_process(r);
    t->first_new = ts->env.origins->next_id;
    list_init(&t->streams);
    list_init(&t->batches);
    t->port = make_port(t);
    t->spec = tail_spec_create(t->port, ++ts->number, q->format, &e);
    if (!t->spec)
        BUG("tails: %s", e.text);
    list_add_tail(&ts->all, &t->node);
    ts->n++;
    return t;
}

static void begin(struct tails *ts, const struct window_query *q, struct http_reply *r)
{
    struct tail *t = create(ts, q, r);
    const struct http_stream stream = {written, gone, t};

    list_for_each (it, &ts->env.origins->all) {
        struct origin *o = list_entry(it, struct origin, node);

        if (wanted(t, o))
            attach(t, o);
    }
    if (list_empty(&t->streams) && !q->wait) {
        t->reply = NULL;
        tail_end(t, false);
        refuse(r, 404, "no log on this node fits that\n");
        return;
    }
    http_reply_header(r, "cache-control", "no-store");
    if (!http_reply_stream(r, format_content_type(q->format, FRAMING_LF), &stream)) {
        t->reply = NULL;
        tail_end(t, false);
    }
}

void tails_ask(struct tails *ts, struct str query, struct http_reply *r)
{
    struct window_query q;
    struct err e;

    if (!has_room(ts, r))
        return;
    if (window_query_parse(&q, query, true, clock_wall_ns() / 1000000000, &e) < 0) {
        window_query_refuse(r, &e);
        return;
    }
    begin(ts, &q, r);
}

/* ---- life ---- */

struct tails *tails_create(const struct tails_env *env)
{
    struct tails *ts = xcalloc(1, sizeof(*ts));

    ts->env = *env;
    list_init(&ts->all);
    return ts;
}

void tails_stop(struct tails *ts)
{
    if (!ts)
        return;
    ts->stopping = true;
    while (!list_empty(&ts->all))
        tail_end(list_entry(ts->all.next, struct tail, node), false);
}

void tails_free(struct tails *ts)
{
    tails_stop(ts);
    free(ts);
}
