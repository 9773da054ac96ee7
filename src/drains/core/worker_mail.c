/*
 * Mail from the control thread to a worker: streams and their segments (feed.h), which drains they
 * are sent to, and when to stop.
 */
#include <stdlib.h>

#include "base/log.h"
#include "drains/core/worker_internal.h"

#define CREATE_RETRY_MS 5000 /* interval for creating a drain that could not be created */

struct attach_mail {
    struct mail mail;
    uint64_t stream;
    struct drain_spec *spec; /* one reference */
    bool at_end;
    struct position end; /* if <at_end> */
    bool history;        /* all data of the stream, from <since_s> on */
    int64_t since_s;
    bool known; /* <resume> is its saved position */
    struct state_record resume;
    struct drain_spec *before; /* it takes over this drain's position; one reference, NULL = none */
    uint32_t least;            /* ... but not from before this segment */
    struct list node;          /* worker->uncreated */
};

struct stop_mail {
    struct mail mail;
    uint64_t grace_ms;
    void (*done)(void *arg);
    void *arg;
};

/* ---- streams ---- */

static struct stream *stream_find(struct worker *wk, uint64_t id)
{
    return map_get(&wk->streams, str_make((const char *)&id, sizeof id));
}

static void feed_stream(struct worker *wk, struct feed_mail *f)
{
    struct stream *s = stream_create(&wk->reader, f->stream, f->identity);

    f->identity = NULL;
    if (map_put(&wk->streams, str_make((const char *)&s->id, sizeof s->id), s))
        BUG("worker: stream %llu twice", (unsigned long long)s->id);
}

static void feed_identity(struct worker *wk, struct stream *s, struct feed_mail *f)
{
    read_tally_add(wk, s);
    stream_rename(s, f->identity);
    f->identity = NULL;
    list_for_each (it, &s->cursors) {
        struct drain_cursor *c = drain_cursor_of(list_entry(it, struct cursor, stream_node));

        if (c)
            drain_cursor_rename(c);
    }
}

static void feed_known(struct worker *wk, struct stream *s, struct feed_mail *f)
{
    switch (f->kind) {
    case FEED_STREAM:
        break;
    case FEED_SEGMENT:
        if (f->journal)
            stream_journal_add(s, f->no, f->path, f->fd, &f->id);
        else
            stream_segment_add(s, f->no, f->path, &f->id, f->restart);
        f->path = NULL;
        break;
    case FEED_RECALL:
        stream_segment_recall(s, f->no, f->path, &f->id, f->restart);
        f->path = NULL;
        break;
    case FEED_SEGMENT_PATH:
        stream_segment_path(s, f->no, f->path, &f->id);
        f->path = NULL;
        break;
    case FEED_GREW:
        stream_grew(s);
        break;
    case FEED_IDENTITY:
        feed_identity(wk, s, f);
        break;
    case FEED_FINISHED:
        stream_finish(s);
        if (list_empty(&s->cursors))
            worker_stream_forget(wk, s);
        break;
    }
}

void worker_feed(void *receiver, struct mail *m)
{
    struct worker *wk = receiver;
    struct feed_mail *f = container_of(m, struct feed_mail, mail);
    uint64_t id = f->stream;
    struct stream *s;

    if (f->kind == FEED_GREW) {
        atomic_store_explicit(&f->queued, false, memory_order_release);
        /* From here on the control thread may post it again: nothing in it is read any more. */
        s = stream_find(wk, id);
        if (s)
            stream_grew(s);
        return;
    }
    if (f->kind == FEED_STREAM)
        feed_stream(wk, f);
    s = stream_find(wk, id);
    if (s)
        feed_known(wk, s, f);
    worker_check_pinned(wk);
    worker_check_dirty(wk);
    identity_unref(f->identity);
    free(f->path);
    free(f);
}

/* ---- attaching ---- */

/* The state has a record of the very URL that <a> is for. */
static bool was_known(struct worker *wk, const struct attach_mail *a)
{
    return a->known && a->resume.drain == worker_place(wk, a->spec).drain;
}

static struct drain *drain_for(struct worker *wk, const struct attach_mail *a)
{
    struct drain_spec *spec = a->spec;
    struct drain *d = map_get(&wk->drains, str_of(spec->id));
    struct err e;

    if (d)
        return d;
    d = drain_create(wk, spec, &e);
    if (!d) {
        if (list_empty(&wk->uncreated))
            log_error("cannot create drain, will retry", KV_CSTR("drain", spec->name), KV_ERR(&e));
        return NULL;
    }
    d->fresh = !was_known(wk, a);
    (void)map_put(&wk->drains, str_of(d->spec->id), d);
    return d;
}

/* Walks both lists at once, since one of them is short: that of the drain's streams or of the
 * stream's drains. */
static struct drain_cursor *cursor_of(struct drain *d, const struct stream *s)
{
    const struct list *mine = d->cursors.next, *its = s->cursors.next;

    for (; mine != &d->cursors && its != &s->cursors; mine = mine->next, its = its->next) {
        struct drain_cursor *c = list_entry(mine, struct drain_cursor, drain_node);

        if (c->cursor.stream == s && !c->cursor.late)
            return c;
        c = drain_cursor_of(list_entry(its, struct cursor, stream_node));
        if (c && c->drain == d && !c->cursor.late)
            return c;
    }
    return NULL;
}

/* The drain that <a> replaces, if it has a cursor of <s>: parks that cursor. 0 = none. */
static uint64_t park_before(struct worker *wk, struct stream *s, const struct attach_mail *a)
{
    struct drain *d = a->before ? map_get(&wk->drains, str_of(a->before->id)) : NULL;
    struct drain_cursor *c = d ? cursor_of(d, s) : NULL;

    if (c)
        worker_park(wk, c);
    return a->before ? worker_place(wk, a->before).drain : 0;
}

static void attach_new(struct worker *wk, struct drain *d, struct stream *s,
                       const struct attach_mail *a)
{
    uint64_t before = park_before(wk, s, a);
    bool parked = worker_has_parked(wk, s, d->spec, before, a->least);
    struct drain_cursor *c = drain_attach(d, s, a->at_end && !a->known && !parked ? &a->end : NULL);

    if (parked && worker_unpark(wk, c, before, a->least))
        return; /* continues where it was */
    if (a->known)
        (void)cursor_resume(&c->cursor, &a->resume); /* if it fails now, the next read resumes */
    if (a->history && a->since_s)
        cursor_begin_since(&c->cursor, a->since_s);
}

static void attach_free(struct attach_mail *a)
{
    list_del(&a->node);
    drain_spec_unref(a->spec);
    drain_spec_unref(a->before);
    free(a);
}

/* -1 = there is no drain for it yet. */
static int attach(struct worker *wk, const struct attach_mail *a)
{
    struct stream *s = stream_find(wk, a->stream);
    struct drain_cursor *c;
    struct drain *d;

    if (!s || wk->stopping)
        return 0;
    d = drain_for(wk, a);
    if (!d) {
        (void)park_before(wk, s, a);
        return -1;
    }
    c = cursor_of(d, s);
    if (a->known && a->resume.late) {
        if (c)
            drain_attach_late(c, &a->resume);
        return 0;
    }
    if (c)
        (void)park_before(wk, s, a);
    else
        attach_new(wk, d, s, a);
    if (a->history)
        stream_recalled(s);
    if (a->at_end && !a->known)
        stream_trim(s); /* of a journal, no cursor here needs what lies before */
    return 0;
}

static void handle_attach(void *receiver, struct mail *m)
{
    struct worker *wk = receiver;
    struct attach_mail *a = container_of(m, struct attach_mail, mail);

    list_init(&a->node);
    if (attach(wk, a) == 0) {
        attach_free(a);
        return;
    }
    list_add_tail(&wk->uncreated, &a->node);
    if (!loop_timer_active(wk->create_timer))
        loop_timer_start(wk->create_timer, CREATE_RETRY_MS);
}

void worker_retry_create(void *arg)
{
    struct worker *wk = arg;

    list_for_each_safe (it, &wk->uncreated) {
        struct attach_mail *a = list_entry(it, struct attach_mail, node);

        if (attach(wk, a) == 0)
            attach_free(a);
    }
    if (!list_empty(&wk->uncreated))
        loop_timer_start(wk->create_timer, CREATE_RETRY_MS);
}

void worker_drop_uncreated(struct worker *wk, const struct attach_mail *like)
{
    list_for_each_safe (it, &wk->uncreated) {
        struct attach_mail *a = list_entry(it, struct attach_mail, node);

        if (!like ||
            (a->stream == like->stream && str_eq(str_of(a->spec->id), str_of(like->spec->id))))
            attach_free(a);
    }
}

static void drop_cursor(struct worker *wk, struct drain_cursor *c)
{
    struct stream *s = c->cursor.stream;
    uint64_t unread = cursor_lag(&c->cursor, &c->cursor.acked);

    if (unread && !drain_is_transient(c->drain))
        log_info_for(identity_cause(s->identity), "route removed, unconfirmed lines are not sent",
                     KV_CSTR("drain", c->drain->spec->name),
                     KV_STR("hostname", s->identity->hostname), KV_STR("pod", s->identity->pod),
                     KV_INT("bytes", unread));
    drain_cursor_drop(c);
    if (s->finished && list_empty(&s->cursors))
        worker_stream_forget(wk, s);
}

/* The cursor of the mail, or NULL. */
static struct drain_cursor *take_detach(struct worker *wk, const struct attach_mail *a)
{
    struct stream *s = stream_find(wk, a->stream);
    struct drain *d = map_get(&wk->drains, str_of(a->spec->id));

    worker_drop_uncreated(wk, a);
    return s && d ? cursor_of(d, s) : NULL;
}

static void handle_detach(void *receiver, struct mail *m)
{
    struct worker *wk = receiver;
    struct attach_mail *a = container_of(m, struct attach_mail, mail);
    struct drain_cursor *c = take_detach(wk, a);

    if (c)
        drop_cursor(wk, c);
    drain_spec_unref(a->spec);
    free(a);
    loop_task_post(&wk->loop, &wk->turn); /* the state must be saved */
}

static void handle_park(void *receiver, struct mail *m)
{
    struct worker *wk = receiver;
    struct attach_mail *a = container_of(m, struct attach_mail, mail);
    struct drain_cursor *c = take_detach(wk, a);

    /* A trusted hostname may belong to another tenant before it comes back to this one: data
     * received in between is not this tenant's. */
    if (c && c->cursor.stream->identity->trusted && c->drain->spec->owner)
        drop_cursor(wk, c);
    else if (c)
        worker_park(wk, c);
    drain_spec_unref(a->spec);
    free(a);
    loop_task_post(&wk->loop, &wk->turn);
}

static void post_attach(struct worker *wk, struct attach_mail *a, uint64_t stream,
                        struct drain_spec *spec, void (*handle)(void *, struct mail *))
{
    a->mail.handle = handle;
    a->stream = stream;
    a->spec = drain_spec_ref(spec);
    mailbox_post(&wk->mailbox, &a->mail);
}

void worker_attach(struct worker *wk, uint64_t stream, struct drain_spec *spec,
                   const struct position *end, const struct state_record *resume,
                   const int64_t *since_s)
{
    struct attach_mail *a = xcalloc(1, sizeof(*a));

    a->history = since_s != NULL;
    a->since_s = since_s ? *since_s : 0;
    a->at_end = end != NULL;
    if (end)
        a->end = *end;
    a->known = resume != NULL;
    if (resume)
        a->resume = *resume;
    post_attach(wk, a, stream, spec, handle_attach);
}

void worker_change(struct worker *wk, uint64_t stream, const struct worker_change *c)
{
    struct attach_mail *a = xcalloc(1, sizeof(*a));

    a->at_end = c->end != NULL;
    if (c->end)
        a->end = *c->end;
    a->known = c->resume != NULL;
    if (c->resume)
        a->resume = *c->resume;
    a->before = drain_spec_ref(c->before);
    a->least = c->least;
    post_attach(wk, a, stream, c->now, handle_attach);
}

void worker_detach(struct worker *wk, uint64_t stream, struct drain_spec *spec)
{
    post_attach(wk, xcalloc(1, sizeof(struct attach_mail)), stream, spec, handle_detach);
}

void worker_park_route(struct worker *wk, uint64_t stream, struct drain_spec *spec)
{
    post_attach(wk, xcalloc(1, sizeof(struct attach_mail)), stream, spec, handle_park);
}

/* ---- stopping: healthy drains send their data, then all connections are closed ---- */

static void tell_stopped(void *control, struct mail *m)
{
    struct stop_mail *s = container_of(m, struct stop_mail, mail);

    (void)control;
    s->done(s->arg);
    free(s);
}

static void ended(struct worker *wk)
{
    struct stop_mail *s = xcalloc(1, sizeof *s);

    s->mail.handle = tell_stopped;
    s->done = wk->stopped;
    s->arg = wk->stopped_arg;
    wk->stopped = NULL;
    worker_save_last(wk);
    loop_stop(&wk->loop);
    mailbox_post(wk->cfg.control, &s->mail);
}

/* A pipelined drain counts as failing until something is confirmed, seconds after it has recovered.
 * What it takes in these seconds must not be cut off. */
static bool takes_data(const struct drain *d)
{
    return d->state == DRAIN_OPEN && (d->pipelined || !d->failing || (d->nstuck && d->healthy));
}

static bool all_sent(struct worker *wk)
{
    list_for_each (it, &wk->all) {
        struct drain *d = list_entry(it, struct drain, node);
        bool busy = !list_empty(&d->ready) || d->ninflight;

        if (busy && (takes_data(d) || (!d->failing && d->state != DRAIN_WAITING)))
            return false;
    }
    return true;
}

static void close_all(struct worker *wk)
{
    wk->closing = true;
    list_for_each_safe (it, &wk->all) {
        struct drain *d = list_entry(it, struct drain, node);
        drain_close(d, takes_data(d));
    }
}

void worker_check_stop(struct worker *wk)
{
    if (!wk->stopping || !wk->stopped)
        return;
    if (!wk->closing) {
        if (!all_sent(wk) && loop_now(&wk->loop) < wk->stop_at)
            return;
        close_all(wk);
    }
    list_for_each (it, &wk->all)
        if (!list_entry(it, struct drain, node)->closed)
            return;
    ended(wk);
}

static void stop_timer_fired(void *arg)
{
    struct worker *wk = arg;

    if (!wk->closing) {
        wk->stop_at = 0;
        loop_timer_start(wk->stop_timer, wk->stop_grace_ms / 4 + 1);
        worker_check_stop(wk);
        return;
    }
    list_for_each_safe (it, &wk->all) {
        struct drain *d = list_entry(it, struct drain, node);
        if (!d->closed)
            d->ops->close(d, false);
    }
    worker_check_stop(wk);
}

static void handle_stop(void *receiver, struct mail *m)
{
    struct worker *wk = receiver;
    struct stop_mail *s = container_of(m, struct stop_mail, mail);
    uint64_t first = s->grace_ms - s->grace_ms / 4;

    wk->stopping = true;
    wk->stop_grace_ms = s->grace_ms;
    wk->stop_at = loop_now(&wk->loop) + first;
    wk->stopped = s->done;
    wk->stopped_arg = s->arg;
    free(s);
    wk->stop_timer = loop_timer_create(&wk->loop, stop_timer_fired, wk);
    loop_timer_start(wk->stop_timer, first);
    list_for_each (it, &wk->all)
        worker_want(wk, list_entry(it, struct drain, node));
    worker_check_stop(wk);
}

void worker_stop(struct worker *wk, uint64_t grace_ms, void (*done)(void *arg), void *arg)
{
    struct stop_mail *s = xcalloc(1, sizeof *s);

    s->mail.handle = handle_stop;
    s->grace_ms = grace_ms;
    s->done = done;
    s->arg = arg;
    mailbox_post(&wk->mailbox, &s->mail);
}
