#include "window/tails.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/mem.h"
#include "drains/members/tail.h"
#include "window/last_queue.h"
#include "window/notes.h"
#include "window/query.h"
#include "window/sse.h"

#define UNTIL_MS 1000 /* between looks whether the time of an until= is over */
#define TYPE_TEXT "text/plain; charset=utf-8"

struct tails {
    struct tails_env env;
    struct list all; /* of struct tail */
    unsigned n;
    uint64_t number; /* of the last one */
    struct last_queue searches;
    struct loop_timer *ping;
    struct loop_timer *until; /* runs while a tail waits for its until= */
    bool stopping;
};

/* One of its streams. */
struct tail_stream {
    struct list node; /* tail->streams */
    uint64_t id;
    struct identity *identity; /* one reference */
    unsigned worker;
};

struct tail {
    struct list node; /* tails->all */
    struct tails *set;
    struct window_query query;
    struct http_reply *reply; /* NULL: the client has gone */
    struct sse *sse;          /* owned; NULL: the client gets the records as they are */
    bool resumed;             /* ... else it goes on where it was */
    bool aside;               /* an event's head or a comment is being written, not a batch */
    bool quiet;               /* nothing was written since the last ping */
    struct tail_port *port;   /* one reference */
    struct drain_spec *spec;  /* one reference */
    struct list streams;      /* of struct tail_stream: those that are read */
    bool done;                /* there is nothing more to come: it ends when all is written */
    struct notes notes;
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

static void write_next(struct tail *t);

static struct tail_stream *find(const struct tail *t, uint64_t id)
{
    list_for_each (it, &t->streams) {
        struct tail_stream *s = list_entry(it, struct tail_stream, node);

        if (s->id == id)
            return s;
    }
    return NULL;
}

static struct tail_stream *add(struct tail *t, const struct origin *o)
{
    struct tail_stream *s = xcalloc(1, sizeof(*s));

    s->id = o->id;
    s->identity = identity_ref(o->identity);
    s->worker = (unsigned)(o->id % t->set->env.nworkers);
    list_add_tail(&t->streams, &s->node);
    if (t->query.events)
        notes_add(&t->notes, "begins", o->identity);
    return s;
}

static void drop(struct tail_stream *s)
{
    list_del(&s->node);
    identity_unref(s->identity);
    free(s);
}

/* Where a client that came back is in <o>; NULL = it has had nothing of it. */
static const struct tail_place *place_of(const struct tail *t, const struct origin *o)
{
    uint64_t key = t->port->nplaces ? identity_key(o->identity) : 0;

    for (unsigned i = 0; i < t->port->nplaces; i++)
        if (t->port->places[i].key == key)
            return &t->port->places[i];
    return NULL;
}

/* From its first byte, if it was not there when <t> began; else from where <t> wants to begin. */
static void attach(struct tail *t, struct origin *o)
{
    const struct tails_env *env = &t->set->env;
    struct tail_stream *s = add(t, o);
    struct worker *wk = env->workers[s->worker];
    const struct tail_place *place = place_of(t, o);
    bool fresh = o->id >= t->first_new;
    bool past = place || (!fresh && (t->query.past || t->resumed));
    int64_t since = place ? place->second : t->resumed ? sse_since(t->sse) : t->query.since_s;
    struct position end;

    origin_introduce(o, s->worker);
    if (past)
        origin_recall(o, s->worker);
    worker_attach(wk, o->id, t->spec, !fresh && !past && env->end_of(o, &end) ? &end : NULL, NULL,
                  past ? &since : NULL);
}

/* Its container was started anew, and there is a log of before. */
static bool has_previous(const struct origin *o)
{
    return !list_empty(&o->segments) &&
           list_entry(o->segments.next, struct origin_segment, node)->restart !=
               list_entry(o->segments.prev, struct origin_segment, node)->restart;
}

static bool wanted(const struct tail *t, const struct origin *o)
{
    return !o->finished && (!t->query.previous || has_previous(o)) &&
           window_query_fits(&t->query, o->identity) && !find(t, o->id);
}

void tails_seen(struct tails *ts, struct origin *o)
{
    if (!ts)
        return;
    list_for_each_safe (it, &ts->all) {
        struct tail *t = list_entry(it, struct tail, node);

        if (t->done || (!t->query.follow && !list_empty(&t->streams)) || !wanted(t, o))
            continue;
        attach(t, o);
        write_next(t);
    }
}

/* <t> may be gone afterwards. */
static void leave(struct tail *t, struct tail_stream *s)
{
    drop(s);
    t->done = !t->query.follow && list_empty(&t->streams);
    write_next(t);
}

/* ---- the last lines ---- */

/* From the line that was found; if none was, from now on. */
static void attach_at(void *tail, const struct last_stream *found)
{
    struct tail *t = tail;
    const struct tails_env *env = &t->set->env;
    struct tail_stream *s = find(t, found->id);
    struct origin *o = origins_find(env->origins, found->id);
    struct position at = {.seg = found->no, .off = found->off};
    const int64_t all = 0;

    if (!s)
        return;
    if (!o || o->finished) {
        leave(t, s);
        return;
    }
    origin_introduce(o, s->worker);
    origin_recall(o, s->worker);
    worker_attach(env->workers[s->worker], o->id, t->spec,
                  found->no || env->end_of(o, &at) ? &at : NULL, NULL, &all);
}

static void search(struct tail *t)
{
    struct last_stream *streams;
    unsigned n = 0, found = 0;

    list_for_each (it, &t->streams)
        n++;
    streams = xcalloc(n + 1, sizeof(*streams));
    list_for_each (it, &t->streams) {
        const struct origin *o =
            origins_find(t->set->env.origins, list_entry(it, struct tail_stream, node)->id);

        if (!place_of(t, o))
            last_stream_init(&streams[found++], o, t->query.previous);
    }
    last_queue_add(&t->set->searches, t->port, t->query.lines, streams, found);
}

static void detach_all(struct tail *t)
{
    while (!list_empty(&t->streams)) {
        struct tail_stream *s = list_entry(t->streams.next, struct tail_stream, node);

        worker_detach(t->set->env.workers[s->worker], s->id, t->spec);
        drop(s);
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
    sse_free(t->sse);
    notes_release(&t->notes);
    free(t);
}

/* ---- writing ---- */

/* <t> may be gone afterwards. */
static void write_next(struct tail *t)
{
    struct tail_batch *b;
    struct str notes;

    if (t->writing || t->aside)
        return;
    notes = notes_take(&t->notes);
    if (notes.len) {
        t->aside = true;
        http_stream_write(t->reply, notes);
        return;
    }
    if (list_empty(&t->batches)) {
        if (t->done)
            tail_end(t, true);
        return;
    }
    b = list_entry(t->batches.next, struct tail_batch, node);
    list_del(&b->node);
    t->writing = b;
    http_stream_write(t->reply, t->sse ? sse_next(t->sse, b, true) : b->body);
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
    struct str more = t->sse && t->writing ? sse_next(t->sse, t->writing, false) : STR("");

    if (more.len) {
        http_stream_write(t->reply, more);
        return;
    }
    if (t->writing)
        tail_batch_done(t->writing);
    t->writing = NULL;
    t->aside = t->quiet = false;
    write_next(t);
}

/* A comment now and then, so that a proxy does not take a quiet connection for a dead one. */
static void ping(void *arg)
{
    struct tails *ts = arg;

    list_for_each_safe (it, &ts->all) {
        struct tail *t = list_entry(it, struct tail, node);
        bool quiet = t->quiet;

        t->quiet = true;
        if (!t->sse || !quiet || t->writing || t->aside)
            continue;
        t->aside = true;
        http_stream_write(t->reply, STR(": ping\n\n")); /* <t> may be gone afterwards */
    }
    if (ts->n)
        loop_timer_start(ts->ping, TAIL_PING_MS / 2);
}

static void gone(void *tail)
{
    struct tail *t = tail;

    t->reply = NULL;
    tail_end(t, false);
}

/* ---- until all is read ---- */

/* What is there is read to its end, and <t> ends then. It may be gone afterwards. */
static void stop_following(struct tail *t)
{
    t->query.follow = false;
    atomic_store_explicit(&t->port->follow, false, memory_order_relaxed);
    list_for_each (it, &t->streams) {
        uint64_t id = list_entry(it, struct tail_stream, node)->id;
        struct origin *o = origins_find(t->set->env.origins, id);

        if (o)
            origin_grew(o); /* so that cursors which are at its end look once more */
    }
    if (!list_empty(&t->streams))
        return;
    t->done = true;
    write_next(t);
}

static void check_until(void *arg)
{
    struct tails *ts = arg;
    int64_t now_s = clock_wall_ns() / 1000000000;
    bool more = false;

    list_for_each_safe (it, &ts->all) {
        struct tail *t = list_entry(it, struct tail, node);

        if (!t->query.follow || t->query.until_s == INT64_MAX)
            continue;
        if (t->query.until_s < now_s - 1)
            stop_following(t);
        else
            more = true;
    }
    if (more)
        loop_timer_start(ts->until, UNTIL_MS);
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

        if (!s || s->worker != worker)
            continue;
        if (t->query.events)
            notes_add(&t->notes, "ends", s->identity);
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
    atomic_init(&p->follow, t->query.follow);
    p->previous = t->query.previous;
    p->lossless = t->query.lossless || !t->query.follow;
    p->fds = t->query.fds;
    p->since = t->query.last ? t->query.since_s : 0;
    p->until = t->query.until_s;
    p->filter = t->query.filter;
    t->query.filter = NULL; /* the port owns it */
    p->framed = t->sse != NULL;
    if (t->resumed) {
        const struct tail_place *places = sse_places(t->sse, &p->nplaces);

        p->places = xcalloc(p->nplaces + 1, sizeof(*places));
        for (unsigned i = 0; i < p->nplaces; i++)
            p->places[i] = places[i];
    }
    return p;
}

/* Takes <q> and <sse> over. */
static struct tail *create(struct tails *ts, const struct window_query *q, struct sse *sse,
                           bool resumed, struct http_reply *r)
{
    struct tail *t = xcalloc(1, sizeof(*t));
    struct err e;

    t->set = ts;
    t->query = *q;
    t->sse = sse;
    t->resumed = resumed;
    t->reply = r;
    t->caller = http_reply_process(r);
    t->first_new = ts->env.origins->next_id;
    list_init(&t->streams);
    list_init(&t->batches);
    notes_init(&t->notes, sse != NULL);
    t->port = make_port(t);
    t->spec = tail_spec_create(t->port, ++ts->number, q->format, &e);
    if (!t->spec)
        BUG("tails: %s", e.text);
    list_add_tail(&ts->all, &t->node);
    if (!ts->n++)
        loop_timer_start(ts->ping, TAIL_PING_MS / 2);
    if (q->follow && q->until_s != INT64_MAX)
        loop_timer_start(ts->until, UNTIL_MS);
    return t;
}

/* What it begins with. */
static void attach_first(struct tail *t)
{
    bool last = false;

    list_for_each (it, &t->set->env.origins->all) {
        struct origin *o = list_entry(it, struct origin, node);

        if (!wanted(t, o))
            continue;
        if (t->query.last && !place_of(t, o)) {
            (void)add(t, o);
            last = true;
        } else {
            attach(t, o);
        }
    }
    if (last)
        search(t);
}

static void begin(struct tail *t)
{
    const struct http_stream stream = {written, gone, t};
    struct http_reply *r = t->reply;
    const char *type =
        t->sse ? "text/event-stream" : format_content_type(t->query.format, FRAMING_LF);

    attach_first(t);
    if (list_empty(&t->streams) && !t->query.wait) {
        t->reply = NULL;
        tail_end(t, false);
        refuse(r, 404, "no log on this node fits that\n");
        return;
    }
    http_reply_header(r, "cache-control", "no-store");
    if (!http_reply_stream(r, type, &stream)) {
        t->reply = NULL;
        tail_end(t, false);
    } else if (t->sse) {
        t->aside = true;
        http_stream_write(r, sse_head(t->sse)); /* <t> may be gone afterwards */
    } else {
        write_next(t);
    }
}

/* The client wants events, perhaps on from one that it has. -1: it has none of ours. */
static int make_sse(struct sse **out, const struct http_incoming *q, const struct window_query *w,
                    int64_t now_s, struct err *e)
{
    *out = NULL;
    if (!q->event_stream)
        return 0;
    if (w->format != FORMAT_JSON)
        return err_set(e, EINVAL, "parameter 'format' must be json for events");
    *out = sse_create(w->past ? w->since_s : now_s);
    if (!q->last_event_id.len || sse_resume(*out, q->last_event_id, e) == 0)
        return 0;
    sse_free(*out);
    return -1;
}

void tails_ask(struct tails *ts, const struct http_incoming *q, struct http_reply *r)
{
    int64_t now_s = clock_wall_ns() / 1000000000;
    struct window_query w;
    struct sse *sse;
    struct err e;

    if (!has_room(ts, r))
        return;
    if (window_query_parse(&w, q->query, true, now_s, &e) < 0) {
        window_query_refuse(r, &e);
        return;
    }
    if (make_sse(&sse, q, &w, now_s, &e) < 0) {
        window_query_release(&w);
        window_query_refuse(r, &e);
        return;
    }
    begin(create(ts, &w, sse, sse && q->last_event_id.len, r));
}

/* ---- life ---- */

struct tails *tails_create(const struct tails_env *env)
{
    struct tails *ts = xcalloc(1, sizeof(*ts));

    ts->env = *env;
    list_init(&ts->all);
    last_queue_init(&ts->searches, env->loop, attach_at);
    ts->ping = loop_timer_create(env->loop, ping, ts);
    ts->until = loop_timer_create(env->loop, check_until, ts);
    return ts;
}

void tails_stop(struct tails *ts)
{
    if (!ts)
        return;
    ts->stopping = true;
    while (!list_empty(&ts->all))
        tail_end(list_entry(ts->all.next, struct tail, node), false);
    last_queue_stop(&ts->searches);
}

void tails_free(struct tails *ts)
{
    tails_stop(ts);
    if (ts) {
        loop_timer_free(ts->ping);
        loop_timer_free(ts->until);
    }
    free(ts);
}
