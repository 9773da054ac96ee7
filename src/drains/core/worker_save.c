/*
 * The positions of a worker's cursors, for the state. Requested by mail at most once a second while
 * data is confirmed, and sent unasked when the worker stops.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "drains/core/worker_internal.h"

#define SAVED_MIN 64 /* records for which there is room at first */

struct save_mail {
    struct mail mail;
    void (*done)(void *arg, const struct worker_positions *p);
    void *arg;
    struct worker_positions positions;
    uint32_t cap; /* of its records */
};

struct dirty_mail {
    struct mail mail;
    void (*dirty)(void *control, unsigned worker);
    unsigned worker;
};

static void save_cursor(struct save_mail *m, struct cursor *k, const struct drain_place *p,
                        uint64_t away_ms)
{
    struct worker_positions *to = &m->positions;
    struct state_record r = {0};

    if (!cursor_save(k, &r))
        return;
    r.stream = k->stream->key;
    r.drain = p->drain;
    r.place = p->place;
    r.port = p->port;
    r.owner = p->owner;
    r.away_ms = away_ms;
    if (to->n == m->cap) {
        m->cap *= 2;
        to->records = xrealloc(to->records, m->cap * sizeof(*to->records));
    }
    to->records[to->n++] = r;
}

static void save_parked(void *arg, struct cursor *k, const struct drain_place *p, uint64_t away_ms)
{
    save_cursor(arg, k, p, away_ms);
}

static void save_all(struct worker *wk, struct save_mail *m)
{
    uint64_t began = clock_cpu_ns();
    struct stream *s;

    wk->dirty_told = false;
    wk->saved_acks = wk->reader.stats.acks;
    m->positions.worker = wk->cfg.index;
    m->cap = wk->saved_records + wk->saved_records / 8 + SAVED_MIN;
    m->positions.records = xmalloc(m->cap * sizeof(struct state_record));
    list_for_each (d_it, &wk->all) {
        struct drain *d = list_entry(d_it, struct drain, node);

        if (drain_is_transient(d))
            continue;
        list_for_each (it, &d->cursors)
            save_cursor(m, &list_entry(it, struct drain_cursor, drain_node)->cursor, &d->place, 0);
    }
    worker_parked_each(wk, save_parked, m);
    for (size_t i = 0; (s = map_next(&wk->streams, &i));)
        stream_save_files(s, &m->positions.files);
    wk->saved_records = m->positions.n;
    m->positions.cpu_ns = clock_cpu_ns() - began;
}

static void answer(void *control, struct mail *mail)
{
    struct save_mail *m = container_of(mail, struct save_mail, mail);

    m->done(m->arg ? m->arg : control, &m->positions);
    free(m);
}

static void save(void *receiver, struct mail *mail)
{
    struct worker *wk = receiver;
    struct save_mail *m = container_of(mail, struct save_mail, mail);

    save_all(wk, m);
    m->mail.handle = answer;
    mailbox_post(wk->cfg.control, &m->mail);
}

void worker_save(struct worker *wk, void (*done)(void *arg, const struct worker_positions *p),
                 void *arg)
{
    struct save_mail *m = xcalloc(1, sizeof(*m));

    m->mail.handle = save;
    m->done = done;
    m->arg = arg;
    mailbox_post(&wk->mailbox, &m->mail);
}

void worker_save_last(struct worker *wk)
{
    struct save_mail *m;

    if (!wk->cfg.saved)
        return;
    m = xcalloc(1, sizeof(*m));
    save_all(wk, m);
    m->done = wk->cfg.saved;
    m->mail.handle = answer;
    mailbox_post(wk->cfg.control, &m->mail);
}

static void tell_dirty(void *control, struct mail *mail)
{
    struct dirty_mail *m = container_of(mail, struct dirty_mail, mail);

    m->dirty(control, m->worker);
    free(m);
}

void worker_check_dirty(struct worker *wk)
{
    struct dirty_mail *m;

    if (wk->dirty_told || wk->saved_acks == wk->reader.stats.acks || !wk->cfg.dirty)
        return;
    wk->dirty_told = true;
    m = xcalloc(1, sizeof(*m));
    m->mail.handle = tell_dirty;
    m->dirty = wk->cfg.dirty;
    m->worker = wk->cfg.index;
    mailbox_post(wk->cfg.control, &m->mail);
}
