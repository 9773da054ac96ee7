/*
 * Copies of a worker's figures for the control thread, requested and answered by mail. Counters are
 * plain integers that only the worker touches.
 */
#include <stdlib.h>

#include "drains/core/worker_internal.h"

struct ask_mail {
    struct mail mail;
    struct worker *worker;
    void (*done)(void *arg, struct worker_report *r);
    void *arg;
    struct worker_report *report;
};

/* Growth of the lag: over the last GROWTH_WINDOW_MS or more between two reports; at first, since
 * the drain had last caught up. */
static uint64_t growth_of(struct drain *d, uint64_t lag, uint64_t lag_ms, uint64_t now)
{
    uint64_t ms = now - d->sampled_at;

    if (!d->sampled_at) {
        d->growth = lag_ms ? lag * 1000 / lag_ms : 0;
        if (!lag)
            return 0; /* no data yet */
    } else if (ms < GROWTH_WINDOW_MS) {
        return d->growth;
    } else {
        d->growth = lag > d->sampled_lag ? (lag - d->sampled_lag) * 1000 / ms : 0;
    }
    d->sampled_at = now;
    d->sampled_lag = lag;
    return d->growth;
}

static uint64_t pinned_by(const struct cursor *c)
{
    uint64_t bytes = 0;

    list_for_each (it, &c->stream->segments) {
        const struct segment *seg = list_entry(it, struct segment, node);

        if (seg->nameless && cursor_holds(c, seg))
            bytes += segment_disk_bytes(seg);
    }
    return bytes;
}

/* The namespace that all streams of <d> belong to. */
static char *only_namespace(const struct drain *d)
{
    struct str one = {NULL, 0};

    list_for_each (it, &d->cursors) {
        struct str ns =
            list_entry(it, struct drain_cursor, drain_node)->cursor.stream->identity->namespace;

        if (one.p && !str_eq(one, ns))
            return NULL;
        one = ns;
    }
    return one.len ? str_dup(one) : NULL;
}

static void report_drain(struct worker *wk, struct drain *d, struct drain_report *r)
{
    uint64_t now = loop_now(&wk->loop);

    *r = (struct drain_report){
        .name = str_dup(str_of(d->spec->name)),
        .owner = d->spec->owner,
        .namespace = d->spec->owner ? only_namespace(d) : NULL,
        .promise = drain_promise_text(d->spec->scheme->promise),
        .state = drain_state_name(d),
        .succeeded_at_ms = (uint64_t)d->succeeded_at,
        .counters = d->counters,
    };
    if (d->spec->sieve)
        r->lines = str_dup(str_of(sieve_text(d->spec->sieve)));
    if (d->last_error.text[0])
        r->error = str_dup(str_of(d->last_error.text));
    if (d->state == DRAIN_WAITING)
        r->retry_in_ms = host_retry_in(d);
    list_for_each (it, &d->cursors) {
        const struct drain_cursor *c = list_entry(it, struct drain_cursor, drain_node);
        uint64_t unsent = cursor_lag(&c->cursor, &c->cursor.sent), held = pinned_by(&c->cursor);

        r->streams += !c->cursor.late;
        r->lag_bytes += cursor_lag(&c->cursor, &c->cursor.acked);
        if ((unsent || (c->inflight && !d->pipelined)) && now - c->caught_up_at > r->lag_ms)
            r->lag_ms = now - c->caught_up_at;
        if (held > r->pinned_most)
            r->pinned_most = held;
    }
    r->growth = growth_of(d, r->lag_bytes, r->lag_ms, now);
}

static void report_schemes(struct worker *wk, struct worker_report *r)
{
    unsigned n = 0;

    list_for_each (it, &wk->schemes)
        n++;
    r->schemes = xcalloc(n + 1, sizeof *r->schemes);
    list_for_each (it, &wk->schemes) {
        const struct scheme_stats *st = list_entry(it, struct scheme_stats, node);

        r->schemes[r->nschemes++] =
            (struct scheme_report){st->scheme->name, st->owner, st->counters};
    }
}

static void report_streams(struct worker *wk, struct worker_report *r)
{
    struct stream *s;
    size_t i = 0;

    while ((s = map_next(&wk->streams, &i))) {
        stream_measure(s);
        r->streams++;
        list_for_each (it, &s->segments) {
            const struct segment *seg = list_entry(it, struct segment, node);

            r->segments++;
            if (seg->nameless)
                r->pinned_bytes += segment_disk_bytes(seg);
        }
    }
}

static struct worker_report *report(struct worker *wk)
{
    struct worker_report *r = xcalloc(1, sizeof *r);
    unsigned n = 0;

    list_for_each (it, &wk->all)
        r->ndrains += !drain_is_transient(list_entry(it, struct drain, node));
    r->worker = wk->cfg.index;
    r->drains = xcalloc(r->ndrains + 1, sizeof *r->drains);
    list_for_each (it, &wk->all) {
        struct drain *d = list_entry(it, struct drain, node);

        if (drain_is_transient(d))
            continue;
        list_for_each (c_it, &d->cursors)
            r->cursors += !list_entry(c_it, struct drain_cursor, drain_node)->cursor.late;
        report_drain(wk, d, &r->drains[n++]);
        r->dead += (d->state == DRAIN_WAITING || d->state == DRAIN_CLOSED) &&
                   !d->counters.connects && !d->ninflight;
    }
    r->parked = worker_parked_count(wk);
    r->cursors += r->parked;
    r->parked_dropped = wk->parked_dropped;
    r->past = wk->past;
    report_schemes(wk, r);
    read_tally_take(wk, r);
    report_streams(wk, r);
    r->reader = wk->reader.stats;
    r->inflight_bytes = wk->inflight_bytes;
    r->turn_ms_max = wk->turn_ms_max;
    wk->turn_ms_max = 0;
    return r;
}

static void answer(void *control, struct mail *m)
{
    struct ask_mail *a = container_of(m, struct ask_mail, mail);

    (void)control;
    a->done(a->arg, a->report);
    free(a);
}

static void ask(void *receiver, struct mail *m)
{
    struct worker *wk = receiver;
    struct ask_mail *a = container_of(m, struct ask_mail, mail);

    a->report = report(wk);
    worker_check_pinned(wk); /* the report may have found changes that were not notified */
    worker_check_dirty(wk);
    a->mail.handle = answer;
    mailbox_post(wk->cfg.control, &a->mail);
}

void worker_ask(struct worker *wk, void (*done)(void *arg, struct worker_report *r), void *arg)
{
    struct ask_mail *a = xcalloc(1, sizeof *a);

    a->mail.handle = ask;
    a->worker = wk;
    a->done = done;
    a->arg = arg;
    mailbox_post(&wk->mailbox, &a->mail);
}

void worker_report_free(struct worker_report *r)
{
    if (!r)
        return;
    for (unsigned i = 0; i < r->ndrains; i++) {
        free(r->drains[i].name);
        free(r->drains[i].error);
        free(r->drains[i].lines);
        free(r->drains[i].namespace);
    }
    free(r->drains);
    free(r->schemes);
    for (unsigned i = 0; i < r->nread; i++)
        free(r->read[i].namespace);
    free(r->read);
    free(r);
}
