/*
 * The records of the state in memory, by pair of stream and drain, and how a worker's report
 * changes them. A pair may have more than one: places in files that the cursor has left
 * (streams/late.c), and records of several workers. The entries of a pair form a ring, whose first
 * is in the map.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "state/checkpoint_internal.h"

void checkpoint_entry_add(struct checkpoint *c, const struct state_record *r, uint32_t worker,
                          uint64_t round)
{
    struct entry *en = xcalloc(1, sizeof(*en)), *first;

    en->record = *r;
    en->key[0] = r->stream;
    en->key[1] = r->drain;
    en->worker = worker;
    en->round = round;
    en->stream = known_record_added(&c->known, r->stream);
    list_init(&en->same);
    list_add_tail(&c->entries, &en->node);
    c->nentries++;
    first = map_get(&c->by_pair, checkpoint_pair_key(en->key));
    if (first)
        list_add_tail(&first->same, &en->same);
    else
        (void)map_put(&c->by_pair, checkpoint_pair_key(en->key), en);
}

void checkpoint_entry_drop(struct checkpoint *c, struct entry *en)
{
    c->taken -= en->taken;
    if (map_get(&c->by_pair, checkpoint_pair_key(en->key)) == en) {
        (void)map_del(&c->by_pair, checkpoint_pair_key(en->key));
        if (!list_empty(&en->same)) {
            struct entry *next = list_entry(en->same.next, struct entry, same);
            (void)map_put(&c->by_pair, checkpoint_pair_key(next->key), next);
        }
    }
    list_del(&en->same);
    list_del(&en->node);
    c->nentries--;
    known_record_dropped(&c->known, en->stream);
    free(en);
}

bool checkpoint_is_over(const struct checkpoint *c, const struct entry *en)
{
    const struct known_stream *s = en->stream;
    uint64_t now = loop_now(c->loop);

    if (en->worker != NOBODY || en->found)
        return en->ended;
    if (!s->settled_ms) /* not all routes have been read, or the stream was not found */
        return en->record.away_ms + (now - c->loaded_ms) > STREAM_GRACE_MS;
    return en->record.owner || en->record.away_ms + (now - s->settled_ms) > c->route_grace_ms;
}

/* ---- reports ---- */

/* The entry for a report of <worker>'s: its own, or one that was loaded and is claimed by it now.
 */
static struct entry *entry_for(struct checkpoint *c, const struct state_record *r, uint32_t worker,
                               uint64_t round)
{
    const uint64_t key[2] = {r->stream, r->drain};
    struct entry *first = map_get(&c->by_pair, checkpoint_pair_key(key)), *en = first;

    if (!first)
        return NULL;
    do {
        if (((en->worker == worker && en->round != round) || en->worker == NOBODY) &&
            en->record.late == r->late &&
            (!r->late || segment_id_same_inode(&en->record.id, &r->id)))
            return en;
        en = list_entry(en->same.next, struct entry, same);
    } while (en != first);
    return NULL;
}

/* A worker reports <r> for the first time: drop the records that its cursor was begun from. */
static void drop_taken_over(struct checkpoint *c, const struct state_record *r)
{
    if (!c->taken)
        return;
    list_for_each_safe (it, &c->entries) {
        struct entry *en = list_entry(it, struct entry, node);

        if ((en->taken || (en->record.late && en->found && en->worker == NOBODY)) &&
            en->record.stream == r->stream && en->record.drain != r->drain &&
            en->record.place == r->place)
            checkpoint_entry_drop(c, en);
    }
}

/* It was given to a worker together with the main record of its pair. The worker has reported the
 * main record and not this one, so nothing is left to read there. */
static bool is_settled_late(const struct entry *late)
{
    if (late->worker != NOBODY || !late->record.late || !late->found)
        return false;
    list_for_each (it, &late->same) {
        const struct entry *en = list_entry(it, struct entry, same);

        if (en->worker != NOBODY && !en->record.late)
            return true;
    }
    return false;
}

void checkpoint_saved(struct checkpoint *c, const struct worker_positions *p)
{
    uint64_t round = ++c->rounds[p->worker], began = clock_cpu_ns();

    FAULT_POINT("positions-told");
    for (uint32_t i = 0; i < p->n; i++) {
        const struct state_record *r = &p->records[i];
        struct entry *en = entry_for(c, r, p->worker, round);

        if (!en) {
            checkpoint_entry_add(c, r, p->worker, round);
            drop_taken_over(c, r);
            continue;
        }
        en->record = *r;
        en->worker = p->worker;
        en->round = round;
    }
    list_for_each_safe (it, &c->entries) {
        struct entry *en = list_entry(it, struct entry, node);

        if ((en->worker == p->worker && en->round != round) || is_settled_late(en))
            checkpoint_entry_drop(c, en); /* the cursor has finished, or its grace is over */
    }
    c->changed = true;
    checkpoint_files_told(c, p->worker, &p->files);
    free(p->records);
    c->cpu_ns += p->cpu_ns + (clock_cpu_ns() - began);
}
