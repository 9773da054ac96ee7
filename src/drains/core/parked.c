/* See parked.h. */
#include "drains/core/parked.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "drains/core/worker_internal.h"

struct parked {
    struct cursor cursor;
    struct list node; /* worker->parked */
    struct drain_place place;
    uint64_t at; /* loop time of parking */
};

static void wake_nobody(struct cursor *k)
{
    (void)k; /* it reads again when it has a drain */
}

/* Whether a drain may continue at <k>. Its late cursors move with it. */
static bool is_place(const struct cursor *k)
{
    return k->wake == wake_nobody && !k->late;
}

static struct parked *parked_of(struct list *it)
{
    return list_entry(it, struct parked, node);
}

struct drain_place worker_place(const struct worker *wk, const struct drain_spec *spec)
{
    return drain_spec_place(spec, wk->cfg.state_key);
}

/* No drain can count this loss: the node's counter does. */
static void lost(struct cursor *k, const struct gap *g)
{
    log_error_for(
        identity_cause(k->stream->identity), "bytes were lost while the route was away",
        KV_STR("hostname", k->stream->identity->hostname), KV_STR("pod", k->stream->identity->pod),
        KV_CSTR("reason", gap_reason_name(g->reason)),
        KV_INT(g->at_least ? "bytes_at_least" : "bytes", g->bytes), KV_INT("segment", g->from.seg));
}

static void parked_free(struct worker *wk, struct parked *p)
{
    struct stream *s = p->cursor.stream;

    if (s->nlate)
        list_for_each_safe (it, &s->cursors) {
            struct cursor *k = list_entry(it, struct cursor, stream_node);

            if (k->main == &p->cursor)
                parked_free(wk, container_of(k, struct parked, cursor));
        }
    list_del(&p->node);
    cursor_release(&p->cursor);
    free(p);
    stream_trim(s);
    if (s->finished && list_empty(&s->cursors))
        worker_stream_forget(wk, s);
}

/* ---- limits ---- */

/* The longest parked cursor of <s>, if <s> has reached its limit. */
static struct parked *too_many_of_stream(struct stream *s)
{
    struct parked *first = NULL;
    unsigned n = 0;

    list_for_each (it, &s->cursors) {
        struct cursor *k = list_entry(it, struct cursor, stream_node);
        struct parked *p;

        if (!is_place(k))
            continue;
        p = container_of(k, struct parked, cursor);
        n++;
        if (!first || p->at < first->at)
            first = p;
    }
    return n >= PARKED_STREAM_MAX ? first : NULL;
}

static struct parked *too_many_of_namespace(struct worker *wk, struct str namespace)
{
    struct parked *first = NULL;
    unsigned n = 0;

    list_for_each (it, &wk->parked) {
        struct parked *p = parked_of(it);

        if (!p->place.owner || p->cursor.late ||
            !str_eq(p->cursor.stream->identity->namespace, namespace))
            continue;
        n++;
        first = first ? first : p;
    }
    return n >= PARKED_NAMESPACE_MAX ? first : NULL;
}

static void make_room(struct worker *wk, struct stream *s, bool owner)
{
    struct parked *p = too_many_of_stream(s);

    if (!p && owner)
        p = too_many_of_namespace(wk, s->identity->namespace);
    if (!p)
        return;
    wk->parked_dropped++;
    parked_free(wk, p);
}

/* ---- parking ---- */

/* The parked cursor of <s> for that URL; NULL = none. */
static struct parked *find_url(struct stream *s, uint64_t drain, bool owner)
{
    list_for_each (it, &s->cursors) {
        struct cursor *k = list_entry(it, struct cursor, stream_node);
        struct parked *p = container_of(k, struct parked, cursor);

        if (is_place(k) && p->place.drain == drain && p->place.owner == owner)
            return p;
    }
    return NULL;
}

static struct parked *parked_create(struct worker *wk, const struct drain_place *place)
{
    struct parked *p = xcalloc(1, sizeof(*p));

    p->place = *place;
    p->at = loop_now(&wk->loop);
    list_add_tail(&wk->parked, &p->node);
    return p;
}

static void park_late(struct worker *wk, const struct cursor *main, struct parked *p)
{
    list_for_each_safe (it, &main->stream->cursors) {
        struct cursor *k = list_entry(it, struct cursor, stream_node);
        struct parked *late;

        if (k->main != main)
            continue;
        late = parked_create(wk, &p->place);
        cursor_init_nowhere(&late->cursor, &p->cursor, wake_nobody);
        cursor_begin_like(&late->cursor, k);
    }
}

void worker_park(struct worker *wk, struct drain_cursor *c)
{
    struct stream *s = c->cursor.stream;
    struct drain_place place = c->drain->place;
    struct parked *old = find_url(s, place.drain, place.owner), *p;

    if (old)
        parked_free(wk, old);
    make_room(wk, s, place.owner);
    p = parked_create(wk, &place);
    cursor_init(&p->cursor, s, wake_nobody, NULL);
    cursor_begin_like(&p->cursor, &c->cursor);
    p->cursor.lost = lost;
    if (s->nlate)
        park_late(wk, &c->cursor, p);
    drain_cursor_drop(c);
    worker_tidy_in(wk, wk->cfg.route_grace_ms);
}

/* ---- unparking ---- */

static bool is_over(struct worker *wk, const struct parked *p)
{
    return loop_now(&wk->loop) - p->at >= wk->cfg.route_grace_ms;
}

/* How well a parked cursor fits, worst first. */
enum fit { FIT_NOT = 0, FIT_PLACE, FIT_PORT, FIT_URL, FIT_BEFORE };

static enum fit fits(const struct parked *p, const struct drain_place *want, uint64_t before)
{
    if (p->place.drain == before)
        return FIT_BEFORE; /* the route itself has just named this URL */
    if (p->place.owner != want->owner)
        return FIT_NOT;
    if (p->place.drain == want->drain)
        return FIT_URL;
    if (p->place.place != want->place)
        return FIT_NOT;
    return p->place.port == want->port ? FIT_PORT : FIT_PLACE;
}

static struct parked *find(struct worker *wk, const struct stream *s,
                           const struct drain_place *want, uint64_t before, uint32_t least)
{
    struct parked *best = NULL;
    enum fit fit = FIT_NOT;

    if (list_empty(&wk->parked))
        return NULL; /* a stream may have thousands of drains */
    list_for_each (it, &s->cursors) {
        struct cursor *k = list_entry(it, struct cursor, stream_node);
        struct parked *p = container_of(k, struct parked, cursor);

        if (!is_place(k) || k->acked.pos.seg < least || fits(p, want, before) <= fit ||
            (p->place.drain != before && is_over(wk, p)))
            continue;
        best = p;
        fit = fits(p, want, before);
    }
    return best;
}

bool worker_has_parked(struct worker *wk, const struct stream *s, const struct drain_spec *spec,
                       uint64_t before, uint32_t least)
{
    struct drain_place want = worker_place(wk, spec);

    return find(wk, s, &want, before, least) != NULL;
}

static void unpark_late(struct drain_cursor *c, const struct cursor *parked)
{
    list_for_each_safe (it, &parked->stream->cursors) {
        struct cursor *k = list_entry(it, struct cursor, stream_node);

        if (k->main == parked)
            drain_attach_late_like(c, k);
    }
}

/* A cursor parked for another URL stays parked: that URL may come back too. */
bool worker_unpark(struct worker *wk, struct drain_cursor *c, uint64_t before, uint32_t least)
{
    struct stream *s = c->cursor.stream;
    struct drain_place want = c->drain->place;
    struct parked *p = find(wk, s, &want, before, least), *own;

    if (!p)
        return false;
    cursor_begin_like(&c->cursor, &p->cursor);
    c->cut = c->cursor.acked.cut;
    if (s->nlate)
        unpark_late(c, &p->cursor);
    own = find_url(s, want.drain, want.owner);
    if (fits(p, &want, before) == FIT_BEFORE && p != own)
        parked_free(wk, p);
    if (own)
        parked_free(wk, own);
    return true;
}

/* ---- all parked cursors ---- */

bool worker_parked_expire(struct worker *wk)
{
    while (!list_empty(&wk->parked) && is_over(wk, parked_of(wk->parked.next)))
        parked_free(wk, parked_of(wk->parked.next));
    return !list_empty(&wk->parked);
}

void worker_parked_release(struct worker *wk)
{
    while (!list_empty(&wk->parked)) {
        struct parked *p = parked_of(wk->parked.next);

        list_del(&p->node);
        cursor_release(&p->cursor);
        free(p);
    }
}

unsigned worker_parked_count(const struct worker *wk)
{
    unsigned n = 0;

    list_for_each (it, &wk->parked)
        n += !parked_of(it)->cursor.late;
    return n;
}

void worker_parked_each(struct worker *wk,
                        void (*fn)(void *arg, struct cursor *k, const struct drain_place *p,
                                   uint64_t away_ms),
                        void *arg)
{
    list_for_each (it, &wk->parked) {
        struct parked *p = parked_of(it);

        fn(arg, &p->cursor, &p->place, loop_now(&wk->loop) - p->at);
    }
}
