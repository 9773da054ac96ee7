#include "window/tails.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "router/router.h"
#include "window/tail.h"

#define UNTIL_MS 1000 /* between looks whether the time of an until= is over */

void tails_seen(struct tails *ts, struct origin *o)
{
    if (!ts)
        return;
    list_for_each_safe (it, &ts->all) {
        struct tail *t = list_entry(it, struct tail, node);

        struct tail_stream *s = tail_find(t, o->id);

        if (s && !view_shows(t->view, o->identity, !router_stream_pending(o))) {
            tail_detach(t, s); /* it has another name now; <t> may be gone afterwards */
            continue;
        }
        if (t->done || (!t->query.follow && !list_empty(&t->streams)) || !tail_wants(t, o))
            continue;
        tail_attach(t, o);
        tail_write_next(t);
    }
}

/* ---- writing ---- */

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
    tail_write_next(t);
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

void tails_forgotten(struct tails *ts, unsigned worker, uint64_t stream)
{
    if (!ts)
        return;
    list_for_each_safe (it, &ts->all) {
        struct tail *t = list_entry(it, struct tail, node);
        struct tail_stream *s = tail_find(t, stream);

        if (!s || s->worker != worker)
            continue;
        if (t->query.events)
            notes_add(&t->notes, "ends", s->identity);
        tail_leave(t, s);
    }
}

/* ---- the beginning ---- */

static unsigned of_caller(const struct tails *ts, uint64_t caller)
{
    unsigned n = 0;

    list_for_each (it, &ts->all)
        n += list_entry(it, struct tail, node)->view->caller == caller;
    return n;
}

static bool has_room(struct tails *ts, const struct view *v, struct http_reply *r)
{
    if (ts->stopping) {
        tail_refuse(r, 503, "stopping\n");
        return false;
    }
    if (ts->n < TAILS_MAX && of_caller(ts, v->caller) < TAILS_CALLER_MAX)
        return true;
    http_reply_header(r, "retry-after", "5");
    tail_refuse(r, 429, "too many tails at once\n");
    return false;
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

static void enter(struct tails *ts, struct tail *t)
{
    list_add_tail(&ts->all, &t->node);
    if (!ts->n++)
        loop_timer_start(ts->ping, TAIL_PING_MS / 2);
    if (t->query.follow && t->query.until_s != INT64_MAX)
        loop_timer_start(ts->until, UNTIL_MS);
}

void tails_ask(struct tails *ts, struct view *v, const struct http_incoming *q,
               struct http_reply *r)
{
    int64_t now_s = clock_wall_ns() / 1000000000;
    struct window_query w;
    struct tail *t;
    struct sse *sse;
    struct err e;

    if (!has_room(ts, v, r))
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
    t = tail_create(ts, &w, v, sse, sse && q->last_event_id.len, r);
    enter(ts, t);
    tail_begin(t);
}

void tails_end_view(struct tails *ts, const struct view *v)
{
    if (!ts)
        return;
    list_for_each_safe (it, &ts->all) {
        struct tail *t = list_entry(it, struct tail, node);

        if (t->view == v)
            tail_end(t, false);
    }
}

/* ---- life ---- */

struct tails *tails_create(const struct tails_env *env)
{
    struct tails *ts = xcalloc(1, sizeof(*ts));

    ts->env = *env;
    list_init(&ts->all);
    last_queue_init(&ts->searches, env->loop, tail_attach_at);
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
