/*
 * Which deleted files a worker keeps open, for the control thread, which alone knows the total of
 * the node. The worker reports it by mail after each change; the answer names the files to give up.
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
    uint64_t stream;
    uint32_t no;
    bool packed;
    uint64_t evictions;
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

static void add_segment(struct worker *wk, struct pinned_report *r, const struct segment *seg)
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
        s.drain = c ? worker_place(wk, c->drain->spec).drain : 0;
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

void worker_check_pinned(struct worker *wk)
{
    struct pinned_mail *m;
    const struct stream *s;
    size_t i = 0;

    if (wk->pinned_reported == wk->reader.pinned || !wk->cfg.pinned)
        return;
    wk->pinned_reported = wk->reader.pinned;
    m = xcalloc(1, sizeof(*m));
    m->mail.handle = tell_pinned;
    m->pinned = wk->cfg.pinned;
    m->report.worker = wk->cfg.index;
    m->report.evictions = wk->evictions;
    while ((s = map_next(&wk->streams, &i)))
        list_for_each (it, &s->segments) {
            const struct segment *seg = list_entry(it, struct segment, node);

            if (seg->nameless)
                add_segment(wk, &m->report, seg);
        }
    mailbox_post(wk->cfg.control, &m->mail);
}

static void handle_evict(void *receiver, struct mail *mail)
{
    struct worker *wk = receiver;
    struct evict_mail *m = container_of(mail, struct evict_mail, mail);
    struct stream *s = map_get(&wk->streams, str_make((const char *)&m->stream, sizeof(m->stream)));

    wk->evictions = m->evictions;
    if (s)
        stream_evict(s, m->no, m->packed);
    wk->reader.pinned++; /* answered also when nothing was left to give up */
    worker_check_pinned(wk);
    free(m);
}

void worker_evict(struct worker *wk, const struct pinned_segment *file, uint64_t evictions)
{
    struct evict_mail *m = xcalloc(1, sizeof(*m));

    m->mail.handle = handle_evict;
    m->stream = file->stream;
    m->no = file->no;
    m->packed = file->packed;
    m->evictions = evictions;
    mailbox_post(&wk->mailbox, &m->mail);
}
