/*
 * What a worker gives up when the control thread, which alone knows the total of the node, asks for
 * it. Deleted files that are open: the worker reports them by mail after a change, but not more
 * often than each PINNED_REPORT_MS; the answer names the files to give up. And whole logs that have
 * ended.
 */
#include <stdlib.h>
#include <string.h>

#include "drains/core/worker_internal.h"

struct pinned_mail {
    struct mail mail;
    struct pinned_report report;
    void (*pinned)(void *control, struct pinned_report *r);
};

struct evict_mail {
    struct mail mail;
    uint64_t evictions;
    size_t n;
    struct pinned_segment files[];
};

static void add(struct pinned_report *r, const struct pinned_segment *s)
{
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 16;
        r->list = xrealloc(r->list, r->cap * sizeof(*r->list));
    }
    r->list[r->n++] = *s;
}

/* Who pays for what <c> pins on <s>: a namespace for the drains of all its workloads together. */
static uint64_t party_of(const struct drain_cursor *c, const struct stream *s, uint64_t drain)
{
    struct str namespace = s->identity->namespace;

    return c && c->drain->spec->owner ? hash_stable(namespace.p, namespace.len) : drain;
}

static void add_segment(struct pinned_report *r, const struct segment *seg)
{
    struct pinned_segment s = {.stream = seg->stream->id,
                               .no = seg->no,
                               .bytes = segment_disk_bytes(seg),
                               .packed = seg->path != NULL && !seg->unpackable};
    unsigned before = r->n;

    list_for_each (it, &seg->stream->cursors) {
        struct cursor *k = list_entry(it, struct cursor, stream_node);
        const struct drain_cursor *c = drain_cursor_of(k);

        if (!cursor_holds(k, seg) || (c && drain_is_transient(c->drain)))
            continue;
        s.drain = c ? c->drain->place.drain : 0;
        s.party = party_of(c, seg->stream, s.drain);
        add(r, &s);
    }
    if (r->n == before) /* no drain needs it: it goes with the stream, or with the tail */
        add(r, &s);
}

static void tell_pinned(void *control, struct mail *mail)
{
    struct pinned_mail *m = container_of(mail, struct pinned_mail, mail);

    m->pinned(control, &m->report);
    free(m->report.list);
    free(m);
}

static void report(struct worker *wk)
{
    struct pinned_mail *m = xcalloc(1, sizeof(*m));
    const struct stream *s;
    size_t i = 0;

    wk->pinned_reported = wk->reader.pinned;
    wk->pinned_at = loop_now(&wk->loop);
    m->mail.handle = tell_pinned;
    m->pinned = wk->cfg.pinned;
    m->report.worker = wk->cfg.index;
    m->report.evictions = wk->evictions;
    while ((s = map_next(&wk->streams, &i)))
        list_for_each (it, &s->segments) {
            const struct segment *seg = list_entry(it, struct segment, node);

            if (seg->nameless)
                add_segment(&m->report, seg);
        }
    mailbox_post(wk->cfg.control, &m->mail);
}

void pinned_timer_fired(void *arg)
{
    worker_check_pinned(arg);
}

void worker_check_pinned(struct worker *wk)
{
    uint64_t now = loop_now(&wk->loop);

    if (wk->pinned_reported == wk->reader.pinned || !wk->cfg.pinned)
        return;
    if (!wk->pinned_at || now - wk->pinned_at >= PINNED_REPORT_MS)
        report(wk);
    else if (!loop_timer_active(wk->pinned_timer))
        loop_timer_start(wk->pinned_timer, PINNED_REPORT_MS - (now - wk->pinned_at));
}

static void handle_evict(void *receiver, struct mail *mail)
{
    struct worker *wk = receiver;
    struct evict_mail *m = container_of(mail, struct evict_mail, mail);

    wk->evictions = m->evictions;
    for (size_t i = 0; i < m->n; i++) {
        const struct pinned_segment *file = &m->files[i];
        struct stream *s =
            map_get(&wk->streams, str_make((const char *)&file->stream, sizeof(file->stream)));

        if (s)
            stream_evict(s, file->no, file->packed);
    }
    wk->reader.pinned++; /* answered also when nothing was left to give up */
    worker_check_pinned(wk);
    free(m);
}

void worker_evict(struct worker *wk, const struct pinned_segment *files, size_t n,
                  uint64_t evictions)
{
    struct evict_mail *m = xcalloc(1, sizeof(*m) + n * sizeof(*files));

    m->mail.handle = handle_evict;
    m->evictions = evictions;
    m->n = n;
    memcpy(m->files, files, n * sizeof(*files));
    mailbox_post(&wk->mailbox, &m->mail);
}

/* ---- a whole log ---- */

struct give_up_mail {
    struct mail mail;
    uint64_t stream;
};

static struct drain_cursor *first_of(const struct stream *s)
{
    list_for_each (it, &s->cursors) {
        struct drain_cursor *c = drain_cursor_of(list_entry(it, struct cursor, stream_node));

        if (c && !c->cursor.late && !drain_is_transient(c->drain))
            return c;
    }
    return NULL;
}

/* What is in flight counts as lost, too: nobody waits for the answer. */
static void settle(struct stream *s)
{
    list_for_each (it, &s->cursors) {
        struct cursor *k = list_entry(it, struct cursor, stream_node);
        struct drain_cursor *c = drain_cursor_of(k);

        if (!c || drain_is_transient(c->drain))
            continue;
        if (k->resume)
            cursor_resume_end(k);
        drain_cursor_rewind(c);
    }
}

static void give_up(struct worker *wk, struct stream *s)
{
    struct drain_cursor *c;

    settle(s);
    list_for_each_safe (it, &s->segments)
        stream_give_up(s, list_entry(it, struct segment, node)->no);
    while ((c = first_of(s)))
        drain_cursor_drop(c);
    if (list_empty(&s->cursors))
        worker_stream_forget(wk, s);
}

static void handle_give_up(void *receiver, struct mail *mail)
{
    struct worker *wk = receiver;
    struct give_up_mail *m = container_of(mail, struct give_up_mail, mail);
    struct stream *s = map_get(&wk->streams, str_make((const char *)&m->stream, sizeof(m->stream)));

    if (s && s->finished)
        give_up(wk, s);
    worker_check_pinned(wk);
    loop_task_post(&wk->loop, &wk->turn); /* the state must be saved */
    free(m);
}

void worker_give_up(struct worker *wk, uint64_t stream)
{
    struct give_up_mail *m = xcalloc(1, sizeof(*m));

    m->mail.handle = handle_give_up;
    m->stream = stream;
    mailbox_post(&wk->mailbox, &m->mail);
}
