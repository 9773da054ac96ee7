/* The limits of hostnames and senders: who may have how much of the journals. journal.h has the rules.
 */
#include "streams/journal.h"

/* The part of <share> in <seg>; NULL = it has none. */
static struct journal_part *find_part(struct journal_segment *seg,
                                      const struct journal_share *share)
{
    for (unsigned i = 0; i < seg->nparts; i++)
        if (seg->parts[i].share == share)
            return &seg->parts[i];
    return NULL;
}

/* The part to account a sender's bytes to: its own, its network's, or that of "others" when too
 * many senders write to <seg>. */
static struct journal_part *part_for(struct journal_segment *seg, struct journal_share *share)
{
    struct journal_part *part = find_part(seg, share);

    if (!part && seg->nparts >= JOURNAL_PARTS / 2 && share->network) {
        share = share->network;
        part = find_part(seg, share);
    }
    if (part)
        return part;
    if (seg->nparts == JOURNAL_PARTS)
        return &seg->parts[JOURNAL_PARTS - 1];
    if (seg->nparts == JOURNAL_PARTS - 1)
        share = &seg->journal->store->others;
    part = &seg->parts[seg->nparts++];
    *part = (struct journal_part){share, 0};
    share->segments++;
    return part;
}

void journal_count_part(struct journal_segment *seg, struct journal_share *share, uint64_t n)
{
    struct journal_part *part;

    if (!share)
        return;
    if (share->group) {
        seg->group = share->group;
        seg->group_bytes += n;
        seg->group->bytes += n;
    }
    part = part_for(seg, share);
    part->bytes += n;
    part->share->bytes += n;
    if (part->share->network)
        part->share->network->bytes += n;
}

void journal_drop_parts(struct journal_segment *seg)
{
    for (unsigned i = 0; i < seg->nparts; i++) {
        struct journal_share *share = seg->parts[i].share;

        share->bytes -= seg->parts[i].bytes;
        share->segments--;
        if (share->network)
            share->network->bytes -= seg->parts[i].bytes;
    }
    if (seg->group)
        seg->group->bytes -= seg->group_bytes;
}

const struct journal_share *journal_share_root(const struct journal_share *share)
{
    return share->network ? share->network : share;
}

/* The bytes of <share>, and of its network, in <j>. */
static uint64_t part_of(const struct journal *j, const struct journal_share *share)
{
    const struct journal_share *root = journal_share_root(share);
    uint64_t bytes = 0;

    list_for_each (it, &j->segments) {
        const struct journal_segment *seg = list_entry(it, struct journal_segment, node);

        for (unsigned i = 0; i < seg->nparts; i++)
            if (journal_share_root(seg->parts[i].share) == root)
                bytes += seg->parts[i].bytes;
    }
    return bytes;
}

static uint64_t may_hold(uint64_t left, uint64_t reserve, uint64_t parts)
{
    uint64_t small = left / parts;

    return left > reserve + small ? left - reserve : small;
}

uint64_t journal_group_left(uint64_t has, uint64_t left)
{
    uint64_t most = JOURNAL_SENDER_FACTOR * left, rest = has < most ? most - has : 0;

    return rest < left ? rest : left;
}

const struct journal_share *journal_shared_with(const struct journal_share *share)
{
    return share && share->network ? share->network : share ? share->group : NULL;
}

static bool sender_may(const struct journal_store *s, const struct journal_share *share,
                       uint64_t left, uint64_t cost, uint64_t n)
{
    uint64_t most = JOURNAL_SENDER_FACTOR * left, has = share->bytes + n;

    return has <= most && cost + n <= may_hold(most - has, s->bytes_max / 2, JOURNAL_SENDER_PARTS);
}

/* What a hostname may have, with <left> free in total. */
static uint64_t host_may(const struct journal_store *s, uint64_t left)
{
    uint64_t half = s->bytes_max / 2;
    uint64_t most = left < half ? may_hold(left, s->bytes_max / 4, JOURNAL_HOST_PARTS) : half;

    return most < s->host_max ? most : s->host_max;
}

bool journal_within_shares(const struct journal_store *s, const struct journal *j,
                           const struct journal_share *share, uint64_t n)
{
    const struct journal_share *with = journal_shared_with(share);
    uint64_t allow, left, left_for_it, cost = j ? j->cost : 0;

    if (s->failing || s->stats.bytes + n > s->bytes_max || cost + n > s->host_max)
        return false;
    left = s->bytes_max - s->stats.bytes - n;
    left_for_it = with ? journal_group_left(with->bytes + n, left) : left;
    if (!left_for_it)
        return false;
    allow = host_may(s, left);
    if (cost + n > allow) /* others may have filled it */
        return share && j && part_of(j, share) + n <= left / JOURNAL_SENDER_PARTS;
    if (share && left_for_it < s->bytes_max / 2 && !sender_may(s, share, left_for_it, cost, n))
        return false;
    /* The parts are added up only where they may matter. */
    return !share || !j || cost + n <= allow / 2 ||
           part_of(j, share) + n <= JOURNAL_SENDER_IN_HOST_FACTOR * (allow - cost - n);
}
