/*
 * Where a worker's cursors of some streams stand, and the health of their drains, for `logtrain
 * explain`. Requested and answered by mail.
 */
#include <stdlib.h>
#include <string.h>

#include "drains/core/worker_internal.h"

struct where_mail {
    struct mail mail;
    void (*done)(void *arg, struct where_report *r);
    void *arg;
    struct where_report *report;
    unsigned nstreams;
    uint64_t streams[];
};

static struct cursor_report report_cursor(struct cursor *k)
{
    const struct drain_cursor *c = drain_cursor_of(k);
    const struct drain *d = c ? c->drain : NULL;
    struct cursor_report r = {
        .stream = k->stream->id, .acked = k->acked.pos, .lag_bytes = cursor_lag(k, &k->acked)};

    if (!d)
        return r;
    r.spec = drain_spec_ref(d->spec);
    r.state = drain_state_name(d);
    for (unsigned i = 0; i < GAP_REASONS; i++)
        r.lost_bytes += d->counters.lost[i];
    if (d->last_error.text[0])
        r.error = str_dup(str_of(d->last_error.text));
    if (d->state == DRAIN_WAITING)
        r.retry_in_ms = host_retry_in(d);
    return r;
}

static void report_stream(struct worker *wk, uint64_t id, struct where_report *r)
{
    struct stream *s = map_get(&wk->streams, str_make((const char *)&id, sizeof(id)));
    unsigned n = 0;

    if (!s)
        return;
    stream_measure(s);
    list_for_each (it, &s->cursors)
        n++;
    r->cursors = xrealloc(r->cursors, (r->n + n + 1) * sizeof(*r->cursors));
    list_for_each (it, &s->cursors) {
        struct cursor *k = list_entry(it, struct cursor, stream_node);
        const struct drain_cursor *c = drain_cursor_of(k);

        if (!k->late && !(c && drain_is_transient(c->drain)))
            r->cursors[r->n++] = report_cursor(k);
    }
}

static void answer(void *control, struct mail *m)
{
    struct where_mail *w = container_of(m, struct where_mail, mail);

    (void)control;
    w->done(w->arg, w->report);
    free(w);
}

static void look(void *receiver, struct mail *m)
{
    struct worker *wk = receiver;
    struct where_mail *w = container_of(m, struct where_mail, mail);

    w->report = xcalloc(1, sizeof(*w->report));
    for (unsigned i = 0; i < w->nstreams; i++)
        report_stream(wk, w->streams[i], w->report);
    w->mail.handle = answer;
    mailbox_post(wk->cfg.control, &w->mail);
}

void worker_where(struct worker *wk, const uint64_t *streams, unsigned n,
                  void (*done)(void *arg, struct where_report *r), void *arg)
{
    struct where_mail *w = xcalloc(1, sizeof(*w) + n * sizeof(*streams));

    w->mail.handle = look;
    w->done = done;
    w->arg = arg;
    w->nstreams = n;
    if (n)
        memcpy(w->streams, streams, n * sizeof(*streams));
    mailbox_post(&wk->mailbox, &w->mail);
}

void where_report_free(struct where_report *r)
{
    if (!r)
        return;
    for (unsigned i = 0; i < r->n; i++) {
        drain_spec_unref(r->cursors[i].spec); /* NULL is fine */
        free(r->cursors[i].error);
    }
    free(r->cursors);
    free(r);
}
