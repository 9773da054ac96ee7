/*
 * A drain's cursors: when a cursor is ready for its drain's turn, and what happens to it when its
 * route goes away and comes back. streams/cursor.c does the reading.
 */
#include <stdlib.h>

#include "base/log.h"
#include "drains/core/ledger.h"
#include "drains/core/worker_internal.h"
#include "formats/format.h"

#define ASKED_MS 1000 /* interval of checks whether the records behind a suspect were tried */

void drain_cursor_ready(struct drain_cursor *c, bool first)
{
    struct drain *d = c->drain;

    if (!c->pending || c->busy || (c->stuck_until && !c->probing) || !list_empty(&c->ready_node))
        return;
    if (first)
        list_add_head(&d->ready, &c->ready_node);
    else
        list_add_tail(&d->ready, &c->ready_node);
    worker_want(d->worker, d);
}

void drain_cursor_rewind(struct drain_cursor *c)
{
    cursor_rewind(&c->cursor);
    c->suspects = 0;
    c->pending = true;
    c->ended = false;
}

/* A renamed file is read to its end before the next one is begun: more may still be written to it.
 */
void drain_cursor_tell_dry(struct drain_cursor *c)
{
    const struct drain_tap *tap = c->drain->ops->tap;
    const struct list *segments = &c->cursor.stream->segments;

    if (!tap || (!list_empty(segments) &&
                 list_entry(segments->prev, struct segment, node)->no > c->cursor.sent.pos.seg))
        return;
    c->live = true;
    c->behind_at = 0;
    tap->dry(c->drain, c);
}

/* Extends its pause until the records behind its suspects were tried. */
static void extend(struct drain_cursor *c)
{
    uint64_t now = loop_now(&c->drain->worker->loop);

    if (c->drain->lags && c->suspects && c->probing && !list_empty(&c->ready_node) &&
        c->stuck_until <= now)
        c->stuck_until = now + ASKED_MS;
}

void drain_wake_cursor(struct cursor *k)
{
    struct drain_cursor *c = container_of(k, struct drain_cursor, cursor);
    struct worker *wk = c->drain->worker;

    extend(c);
    c->pending = true;
    if (c->stuck_until && loop_now(&wk->loop) < c->stuck_until) {
        k->wake_at = c->stuck_until;
        worker_wait(wk, c);
        drain_cursor_ready(c, false); /* in case this is a reason to ask the peer sooner */
        return;
    }
    c->stuck_until = 0;
    c->probing = false;
    list_del(&c->wait_node);
    if (c->suspects && !c->busy)
        drain_cursor_rewind(c);
    drain_cursor_ready(c, false);
}

struct drain_cursor *drain_cursor_of(struct cursor *k)
{
    return k->wake == drain_wake_cursor ? container_of(k, struct drain_cursor, cursor) : NULL;
}

void drain_cursor_stick(struct drain_cursor *c, uint64_t ms, bool again)
{
    struct worker *wk = c->drain->worker;

    c->drain->nstuck += !c->stuck_tries;
    c->stuck_tries += !c->stuck_tries || !again;
    c->stuck_until = loop_now(&wk->loop) + ms;
    c->cursor.wake_at = c->stuck_until;
    worker_wait(wk, c);
}

void drain_cursor_unstick(struct drain_cursor *c)
{
    c->drain->nstuck -= c->stuck_tries > 0;
    c->stuck_tries = 0;
    c->stuck_until = 0;
    c->probing = false;
}

static void count_cut(struct drain_cursor *c)
{
    const struct cursor *k = &c->cursor;
    struct drain *d = c->drain;
    uint64_t bytes = k->acked.cut - c->cut;

    c->cut = k->acked.cut;
    d->counters.cut += bytes;
    if (drain_is_transient(d))
        return;
    log_warn_for(identity_cause(k->stream->identity), "bytes beyond MAX_LINE were cut",
                 KV_CSTR("drain", d->spec->name), KV_STR("hostname", k->stream->identity->hostname),
                 KV_STR("pod", k->stream->identity->pod), KV_INT("bytes", bytes),
                 KV_INT("segment", k->acked.pos.seg), KV_INT("before", k->acked.pos.off));
}

void drain_cursor_settle_idle(struct drain_cursor *c)
{
    if (!c->inflight && !c->suspects)
        cursor_ack(&c->cursor, &c->cursor.sent);
    if (c->cursor.acked.cut > c->cut)
        count_cut(c);
}

/* The stream has lost bytes of this cursor. One log line each, since losses come with whole files,
 * not lines. Losses across a restart are logged by the code that resumes, refusals by refusal.c. */
static void lost(struct cursor *k, const struct gap *g)
{
    struct drain_cursor *c = container_of(k, struct drain_cursor, cursor);
    struct drain *d = c->drain;

    if (g->reason >= GAP_REASONS)
        return; /* no loss */
    d->counters.lost[g->reason] += g->bytes;
    if (g->reason == GAP_REFUSED)
        worker_news(d->worker, d->spec, DRAIN_REFUSES, g->records);
    else
        worker_news(d->worker, d->spec, DRAIN_LOSES, g->bytes);
    if (g->reason == GAP_RESTART || g->reason == GAP_REFUSED || drain_is_transient(d))
        return;
    log_error_for(
        identity_cause(k->stream->identity), "bytes were lost", KV_CSTR("drain", d->spec->name),
        KV_STR("hostname", k->stream->identity->hostname), KV_STR("pod", k->stream->identity->pod),
        KV_STR("container", k->stream->identity->container),
        KV_CSTR("reason", gap_reason_name(g->reason)),
        KV_INT(g->at_least ? "bytes_at_least" : "bytes", g->bytes), KV_INT("segment", g->from.seg),
        KV_INT("from", g->at), KV_INT("to", g->at + g->bytes));
}

static const char *resumed_text(enum resume_result how)
{
    if (how == RESUME_GONE)
        return "log file is gone since the last run, unread lines are lost";
    if (how == RESUME_LACKING)
        return "newer log files are gone since the last run, their unread lines are lost";
    return "log file was truncated since the last run, reading it from its start";
}

static void resumed(struct cursor *k, enum resume_result how, const struct state_record *r)
{
    const struct identity *id = k->stream->identity;
    uint64_t missed = 0;

    list_for_each (it, &k->gaps)
        missed += list_entry(it, struct gap, node)->bytes;
    log_error_for(identity_cause(id), resumed_text(how),
                  KV_CSTR("drain", container_of(k, struct drain_cursor, cursor)->drain->spec->name),
                  KV_STR("hostname", id->hostname), KV_STR("pod", id->pod),
                  KV_STR("container", id->container), KV_INT("offset", r->off),
                  KV_INT("lost_bytes_at_least", missed));
}

struct formatter *drain_cursor_formatter(struct drain_cursor *c)
{
    const struct drain_spec *spec = c->drain->spec;
    struct format_options o = spec->format;

    if (c->formatter)
        return c->formatter;
    if (spec->scheme->flags & (DRAIN_UDP | DRAIN_FRAMED))
        o.framing = FRAMING_OCTET; /* only between here and the member: one frame is one datagram */
    o.valid = spec->utf8 == UTF8_KEEP ? NULL : &c->drain->worker->valid;
    if (spec->scheme->flags & DRAIN_FRAMED)
        o.prefix = spec->scheme->flags & DRAIN_PLACED ? PREFIX_PLACE : PREFIX_ID;
    c->formatter = formatter_create(&o, c->cursor.stream->identity);
    return c->formatter;
}

static struct drain_cursor *create(struct drain *d)
{
    struct drain_cursor *c = xcalloc(1, sizeof *c);

    c->drain = d;
    list_init(&c->ready_node);
    list_init(&c->wait_node);
    return c;
}

static void start(struct drain_cursor *c)
{
    struct drain *d = c->drain;

    budget_join(d, c->cursor.stream->identity);
    budget_used(d, true);
    c->cursor.transient = drain_is_transient(d);
    host_join(d, c->cursor.stream->identity);
    list_add_tail(&d->cursors, &c->drain_node);
    c->caught_up_at = loop_now(&d->worker->loop);
    drain_wake_cursor(&c->cursor);
}

/* When there are too many late cursors with work, drops the one with the oldest file, unless it is
 * busy. */
static void drop_oldest_late(struct drain *d, const struct stream *s)
{
    struct drain_cursor *oldest = NULL;
    unsigned n = 0;

    list_for_each (it, &s->cursors) {
        struct cursor *k = list_entry(it, struct cursor, stream_node);
        struct drain_cursor *c = k->late && !k->original ? drain_cursor_of(k) : NULL;

        if (!c || c->drain != d || cursor_must_wait(k))
            continue;
        n++;
        if (!c->inflight && cursor_is_settled(k) && (!oldest || k->late < oldest->cursor.late))
            oldest = c;
    }
    if (n >= LATE_FILES_MAX && oldest)
        drain_cursor_drop(oldest);
}

static void leaves(struct cursor *k, struct segment *seg, uint64_t end)
{
    struct drain_cursor *c;
    struct drain *d = container_of(k, struct drain_cursor, cursor)->drain;

    drop_oldest_late(d, k->stream);
    c = create(d);
    cursor_init_late(&c->cursor, k, seg, end, drain_wake_cursor);
    start(c);
}

struct drain_cursor *drain_attach(struct drain *d, struct stream *s, const struct position *end)
{
    struct drain_cursor *c = create(d);

    cursor_init(&c->cursor, s, drain_wake_cursor, end);
    c->cursor.lost = lost;
    c->cursor.resumed = resumed;
    c->cursor.leaves = leaves;
    start(c);
    return c;
}

void drain_attach_late(struct drain_cursor *main, const struct state_record *r)
{
    struct drain_cursor *c = create(main->drain);

    cursor_init_nowhere(&c->cursor, &main->cursor, drain_wake_cursor);
    start(c);
    (void)cursor_resume(&c->cursor, r); /* if it fails now, the next read resumes */
}

void drain_attach_late_like(struct drain_cursor *main, struct cursor *from)
{
    struct drain_cursor *c = create(main->drain);

    cursor_init_nowhere(&c->cursor, &main->cursor, drain_wake_cursor);
    cursor_begin_like(&c->cursor, from);
    c->cut = c->cursor.acked.cut;
    start(c);
}

void drain_cursor_rename(struct drain_cursor *c)
{
    formatter_free(c->formatter);
    c->formatter = NULL; /* created again with the new name */
}

static void drop_late(struct cursor *main)
{
    list_for_each_safe (it, &main->stream->cursors) {
        struct cursor *k = list_entry(it, struct cursor, stream_node);

        if (k->main == main)
            drain_cursor_drop(container_of(k, struct drain_cursor, cursor));
    }
}

void drain_cursor_drop(struct drain_cursor *c)
{
    struct drain *d = c->drain;
    struct stream *s = c->cursor.stream;

    if (s->nlate)
        drop_late(&c->cursor);
    list_for_each (it, &d->inflight)
        batch_forget_cursor(list_entry(it, struct batch, node), c);
    list_for_each (it, &d->repeats)
        batch_forget_cursor(list_entry(it, struct batch, node), c);
    list_for_each (it, &d->worker->settled)
        batch_forget_cursor(list_entry(it, struct batch, node), c);
    if (d->ledger)
        ledger_forget_cursor(d->ledger, c);
    drain_cursor_unstick(c);
    list_del(&c->ready_node);
    list_del(&c->wait_node);
    list_del(&c->drain_node);
    cursor_release(&c->cursor);
    formatter_free(c->formatter);
    surplus_free(c);
    free(c->rewound);
    free(c);
    stream_trim(s);
    if (!list_empty(&d->cursors))
        return;
    d->unused_since = loop_now(&d->worker->loop);
    budget_used(d, false);
    worker_tidy_in(d->worker, TIDY_SOON_MS);
}

void drain_cursor_done(struct drain_cursor *c)
{
    struct worker *wk = c->drain->worker;
    struct stream *s = c->cursor.stream;
    struct cursor *main = c->cursor.main;

    if (!c->ended || c->pending || c->inflight || !cursor_is_settled(&c->cursor))
        return;
    if (s->finished && !main && !drain_is_transient(c->drain))
        worker_left(wk, s);
    drain_cursor_drop(c);
    if (main && s->finished)
        main->wake(main); /* it ends after its late cursors */
    if (s->finished && list_empty(&s->cursors))
        worker_stream_forget(wk, s);
}
