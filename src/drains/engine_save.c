/*
 * Where the cursors of a worker stand, for the state. Asked for by mail at most once a second while
 * something is confirmed, and told unasked when the worker stops.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "drains/engine_internal.h"

struct save_mail {
    struct mail mail;
    unsigned worker;
    void (*done)(void *arg, unsigned worker, struct state_record *records, uint32_t n);
    void *arg;
    struct state_record *records;
    uint32_t n, cap;
};

struct dirty_mail {
    struct mail mail;
    void (*dirty)(void *control, unsigned worker);
    unsigned worker;
};

static void save_cursor(struct save_mail *m, struct cursor *k, const struct drain_place *p,
                        uint64_t away_ms)
{
    struct state_record r = {0};

    if (!cursor_save(k, &r))
        return;
    r.stream = identity_key(k->stream->identity);
    r.drain = p->drain;
    r.place = p->place;
    r.port = p->port;
    r.owner = p->owner;
    r.away_ms = away_ms;
    if (m->n == m->cap) {
        m->cap = m->cap ? 2 * m->cap : 64;
        m->records = xrealloc(m->records, m->cap * sizeof(*m->records));
    }
    m->records[m->n++] = r;
}

static void save_parked(void *arg, struct cursor *k, const struct drain_place *p, uint64_t away_ms)
{
    save_cursor(arg, k, p, away_ms);
}

static void save_all(struct engine *en, struct save_mail *m)
{
    en->dirty_told = false;
    en->saved_acks = en->reader.stats.acks;
    m->worker = en->cfg.index;
    list_for_each (d_it, &en->all) {
        struct drain *d = list_entry(d_it, struct drain, node);
        struct drain_place place = engine_place(en, d->spec);

        list_for_each (it, &d->cursors)
            save_cursor(m, &list_entry(it, struct drain_cursor, drain_node)->cursor, &place, 0);
    }
    engine_parked_each(en, save_parked, m);
}

static void answer(void *control, struct mail *mail)
{
    struct save_mail *m = container_of(mail, struct save_mail, mail);

    m->done(m->arg ? m->arg : control, m->worker, m->records, m->n);
    free(m);
}

static void save(void *receiver, struct mail *mail)
{
    struct engine *en = receiver;
    struct save_mail *m = container_of(mail, struct save_mail, mail);

    save_all(en, m);
    m->mail.handle = answer;
    mailbox_post(en->cfg.control, &m->mail);
}

void engine_save(struct engine *en,
                 void (*done)(void *arg, unsigned worker, struct state_record *records, uint32_t n),
                 void *arg)
{
    struct save_mail *m = xcalloc(1, sizeof(*m));

    m->mail.handle = save;
    m->done = done;
    m->arg = arg;
    mailbox_post(&en->mailbox, &m->mail);
}

void engine_save_last(struct engine *en)
{
    struct save_mail *m;

    if (!en->cfg.saved)
        return;
    m = xcalloc(1, sizeof(*m));
    save_all(en, m);
    m->done = en->cfg.saved;
    m->mail.handle = answer;
    mailbox_post(en->cfg.control, &m->mail);
}

static void tell_dirty(void *control, struct mail *mail)
{
    struct dirty_mail *m = container_of(mail, struct dirty_mail, mail);

    m->dirty(control, m->worker);
    free(m);
}

void engine_check_dirty(struct engine *en)
{
    struct dirty_mail *m;

    if (en->dirty_told || en->saved_acks == en->reader.stats.acks || !en->cfg.dirty)
        return;
    en->dirty_told = true;
    m = xcalloc(1, sizeof(*m));
    m->mail.handle = tell_dirty;
    m->dirty = en->cfg.dirty;
    m->worker = en->cfg.index;
    mailbox_post(en->cfg.control, &m->mail);
}
