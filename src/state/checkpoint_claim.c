/*
 * Records without a cursor. A cursor that is attached for the same URL resumes from one. So does a
 * cursor for another URL of the same place, because the URL may have been changed while logtrain
 * was down. A record is dropped when its route is removed by decision. It is also dropped when all
 * routes of its stream are known and none has claimed it: an owner's at once, because the
 * annotations have been read and do not list it; an operator's after ROUTE_GRACE.
 */
#include "state/checkpoint_internal.h"

/* The record of that pair, preferably one whose file exists. */
static struct entry *find_url(struct checkpoint *c, struct origin *o, const uint64_t key[2])
{
    struct entry *first = map_get(&c->by_pair, checkpoint_pair_key(key)), *en = first;
    struct entry *best = NULL;

    if (!first)
        return NULL;
    do {
        bool here = origin_segment_find(o, &en->record.id) != NULL;

        en->ended =
            en->ended && en->worker == NOBODY; /* the next report for it comes from a new cursor */
        if (en->worker == NOBODY && !en->record.late && !checkpoint_is_over(c, en) &&
            (here || !best))
            best = en;
        en = list_entry(en->same.next, struct entry, same);
    } while (en != first);
    return best;
}

/* An unclaimed record of another URL of the same place, preferably with the same port. */
static struct entry *find_place(struct checkpoint *c, uint64_t stream, const struct drain_place *p)
{
    const struct known_stream *s = known_find(&c->known, stream);
    struct entry *best = NULL;

    if (!s || !s->records)
        return NULL;
    list_for_each (it, &c->entries) {
        struct entry *en = list_entry(it, struct entry, node);
        const struct state_record *r = &en->record;

        if (en->stream != s || en->worker != NOBODY || en->found || r->late ||
            r->place != p->place || r->owner != p->owner || checkpoint_is_over(c, en))
            continue;
        if (!best || (r->port == p->port && best->record.port != p->port))
            best = en;
    }
    if (best) {
        best->taken = true;
        c->taken++;
    }
    return best;
}

bool checkpoint_find(struct checkpoint *c, struct origin *o, const struct drain_spec *spec,
                     struct state_record *out)
{
    struct drain_place p = drain_spec_place(spec, c->dir.key);
    const uint64_t key[2] = {identity_key(o->identity), p.drain};
    struct entry *en;

    if (c->on)
        known_attached(&c->known, o);
    en = find_url(c, o, key);
    en = en ? en : find_place(c, key[0], &p);
    if (!en)
        return false;
    en->found = true;
    *out = en->record;
    checkpoint_files_find(c, out);
    return true;
}

bool checkpoint_last(const struct checkpoint *c, const struct origin *o,
                     const struct drain_spec *spec, struct state_record *out)
{
    const uint64_t key[2] = {identity_key(o->identity), drain_spec_place(spec, c->dir.key).drain};
    const struct entry *first = map_get(&c->by_pair, checkpoint_pair_key(key)), *en = first;

    if (!first)
        return false;
    do {
        if (!en->record.late) {
            *out = en->record;
            return true;
        }
        en = list_entry(en->same.next, struct entry, same);
    } while (en != first);
    return false;
}

bool checkpoint_next_late(struct checkpoint *c, const struct state_record *main, unsigned *at,
                          struct state_record *out)
{
    const uint64_t key[2] = {main->stream, main->drain};
    struct entry *first = map_get(&c->by_pair, checkpoint_pair_key(key)), *en = first;
    unsigned i = 0;

    if (!first)
        return false;
    do {
        if (en->record.late && i++ >= *at && !(en->worker == NOBODY && en->found)) {
            *at = i;
            *out = en->record;
            en->found = true;
            return true;
        }
        en = list_entry(en->same.next, struct entry, same);
    } while (en != first);
    return false;
}

void checkpoint_ended(struct checkpoint *c, const struct origin *o, const struct drain_spec *spec)
{
    const uint64_t key[2] = {identity_key(o->identity), drain_spec_place(spec, c->dir.key).drain};
    uint64_t now = loop_now(c->loop);
    struct entry *first;

    for (struct entry *en; (en = map_get(&c->by_pair, checkpoint_pair_key(key)));) {
        if (en->worker != NOBODY)
            break;
        checkpoint_entry_drop(c, en);
    }
    first = map_get(&c->by_pair, checkpoint_pair_key(key));
    if (first) {
        first->ended = true;
        list_for_each (it, &first->same)
            list_entry(it, struct entry, same)->ended = true;
    }
    checkpoint_write_soon(c, now - c->ended_ms > CHECKPOINT_MS);
    c->ended_ms = now;
}

void checkpoint_stream_routed(struct checkpoint *c, const struct origin *o)
{
    struct known_stream *s = known_find(&c->known, identity_key(o->identity));
    bool news = false;

    if (s && !s->settled_ms) {
        s->settled_ms = loop_now(c->loop) | 1;
        news = s->records > 0;
    }
    known_routed(&c->known, o);
    if (news || c->known.changed)
        checkpoint_write_soon(c, false);
}
