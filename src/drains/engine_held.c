/*
 * Which deleted files a worker keeps on the disk, for the control thread, which alone knows what
 * the node holds: told by mail whenever that changes, and answered with the ones to give up.
 */
#include <stdlib.h>
#include <string.h>

#include "drains/engine_internal.h"

struct held_mail {
    struct mail mail;
    struct held_report report;
    void (*held)(void *control, struct held_report *r);
};

struct evict_mail {
    struct mail mail;
    uint64_t stream;
    uint32_t no;
    bool packed;
    uint64_t evictions;
};

static void add(struct held_report *r, const struct held_segment *s)
{
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 16;
        r->list = xrealloc(r->list, r->cap * sizeof(*r->list));
    }
    r->list[r->n++] = *s;
}

static void add_segment(struct engine *en, struct held_report *r, const struct segment *seg)
{
    struct held_segment s = {.stream = seg->stream->id,
                             .no = seg->no,
                             .bytes = segment_disk_bytes(seg),
                             .packed = seg->path != NULL && !seg->unpackable};
    unsigned before = r->n;

    list_for_each (it, &seg->stream->cursors) {
        struct cursor *k = list_entry(it, struct cursor, stream_node);
        const struct drain_cursor *c = drain_cursor_of(k);

        if (!cursor_holds(k, seg))
            continue;
        s.drain = c ? engine_place(en, c->drain->spec).drain : 0;
        add(r, &s);
    }
    if (r->n == before) /* nobody's: it goes with the stream */
        add(r, &s);
}

static void tell_held(void *control, struct mail *mail)
{
    struct held_mail *m = container_of(mail, struct held_mail, mail);

    m->held(control, &m->report);
    free(m->report.list);
    free(m);
}

void engine_check_held(struct engine *en)
{
    struct held_mail *m;
    const struct stream *s;
    size_t i = 0;

    if (en->held_told == en->reader.held || !en->cfg.held)
        return;
    en->held_told = en->reader.held;
    m = xcalloc(1, sizeof(*m));
    m->mail.handle = tell_held;
    m->held = en->cfg.held;
    m->report.worker = en->cfg.index;
    m->report.evictions = en->evictions;
    while ((s = map_next(&en->streams, &i)))
        list_for_each (it, &s->segments) {
            const struct segment *seg = list_entry(it, struct segment, node);

            if (seg->nameless)
                add_segment(en, &m->report, seg);
        }
    mailbox_post(en->cfg.control, &m->mail);
}

static void handle_evict(void *receiver, struct mail *mail)
{
    struct engine *en = receiver;
    struct evict_mail *m = container_of(mail, struct evict_mail, mail);
    struct stream *s = map_get(&en->streams, str_make((const char *)&m->stream, sizeof(m->stream)));

    en->evictions = m->evictions;
    if (s)
        stream_evict(s, m->no, m->packed);
    en->reader.held++; /* answered also when there was nothing to give up any more */
    engine_check_held(en);
    free(m);
}

void engine_evict(struct engine *en, const struct held_segment *file, uint64_t evictions)
{
    struct evict_mail *m = xcalloc(1, sizeof(*m));

    m->mail.handle = handle_evict;
    m->stream = file->stream;
    m->no = file->no;
    m->packed = file->packed;
    m->evictions = evictions;
    mailbox_post(&en->mailbox, &m->mail);
}
