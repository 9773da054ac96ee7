/* See tail.h. */
#include "window/tail.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "router/router.h"

#define TYPE_TEXT "text/plain; charset=utf-8"

void tail_refuse(struct http_reply *r, int status, const char *text)
{
    http_reply_send(r, status, TYPE_TEXT, str_of(text));
}

/* ---- its streams ---- */

struct tail_stream *tail_find(const struct tail *t, uint64_t id)
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

void tail_attach(struct tail *t, struct origin *o)
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

bool tail_wants(const struct tail *t, const struct origin *o)
{
    return !o->finished && view_shows(t->view, o->identity, !router_stream_pending(o)) &&
           (!t->query.previous || has_previous(o)) && window_query_fits(&t->query, o->identity) &&
           !tail_find(t, o->id);
}

void tail_leave(struct tail *t, struct tail_stream *s)
{
    drop(s);
    t->done = !t->query.follow && list_empty(&t->streams);
    tail_write_next(t);
}

void tail_detach(struct tail *t, struct tail_stream *s)
{
    worker_detach(t->set->env.workers[s->worker], s->id, t->spec);
    tail_leave(t, s);
}

/* ---- the last lines ---- */

void tail_attach_at(void *tail, const struct last_stream *found)
{
    struct tail *t = tail;
    const struct tails_env *env = &t->set->env;
    struct tail_stream *s = tail_find(t, found->id);
    struct origin *o = origins_find(env->origins, found->id);
    struct position at = {.seg = found->no, .off = found->off};
    const int64_t all = 0;

    if (!s)
        return;
    if (!o || o->finished) {
        tail_leave(t, s);
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

/* ---- the end ---- */

static void detach_all(struct tail *t)
{
    while (!list_empty(&t->streams)) {
        struct tail_stream *s = list_entry(t->streams.next, struct tail_stream, node);

        worker_detach(t->set->env.workers[s->worker], s->id, t->spec);
        drop(s);
    }
}

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

void tail_end(struct tail *t, bool whole)
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
    view_unref(t->view);
    free(t);
}

/* ---- writing ---- */

void tail_write_next(struct tail *t)
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
    tail_write_next(t);
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
    tail_write_next(t);
}

static void gone(void *tail)
{
    struct tail *t = tail;

    t->reply = NULL;
    tail_end(t, false);
}

static void dry(void *tail, uint64_t stream)
{
    struct tail *t = tail;
    struct tail_stream *s = tail_find(t, stream);

    if (s)
        tail_detach(t, s);
}

/* ---- the beginning ---- */

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

struct tail *tail_create(struct tails *ts, const struct window_query *q, struct view *v,
                         struct sse *sse, bool resumed, struct http_reply *r)
{
    struct tail *t = xcalloc(1, sizeof(*t));
    struct err e;

    t->set = ts;
    t->query = *q;
    t->sse = sse;
    t->resumed = resumed;
    t->reply = r;
    t->view = view_ref(v);
    t->first_new = ts->env.origins->next_id;
    list_init(&t->streams);
    list_init(&t->batches);
    notes_init(&t->notes, sse != NULL);
    t->port = make_port(t);
    t->spec = tail_spec_create(t->port, ++ts->number, q->format, &e);
    if (!t->spec)
        BUG("tails: %s", e.text);
    return t;
}

/* What it begins with. */
static void attach_first(struct tail *t)
{
    bool last = false;

    list_for_each (it, &t->set->env.origins->all) {
        struct origin *o = list_entry(it, struct origin, node);

        if (!tail_wants(t, o))
            continue;
        if (t->query.last && !place_of(t, o)) {
            (void)add(t, o);
            last = true;
        } else {
            tail_attach(t, o);
        }
    }
    if (last)
        search(t);
}

void tail_begin(struct tail *t)
{
    const struct http_stream stream = {written, gone, t};
    struct http_reply *r = t->reply;
    bool part = view_is_part(t->view);
    const char *type =
        t->sse ? "text/event-stream" : format_content_type(t->query.format, FRAMING_LF);

    attach_first(t);
    if (list_empty(&t->streams) && !t->query.wait) {
        t->reply = NULL;
        tail_end(t, false);
        tail_refuse(r, part ? 403 : 404,
                    part ? "no log that this token may see fits that\n"
                         : "no log on this node fits that\n");
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
        tail_write_next(t);
    }
}
