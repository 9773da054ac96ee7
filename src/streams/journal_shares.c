/* The limits of hostnames and senders: who may have how much of the journals. journal.h has the rules.
 */
#include "streams/journal.h"

void journal_count_part(struct journal_segment *seg, struct journal_share *share, uint64_t n)
{
    unsigned i = 0;

    if (!share)
        return;
    if (share->group) {
        seg->group = share->group;
        seg->group_bytes += n;
        seg->group->bytes += n;
    }
    while (i < seg->nparts && seg->parts[i].share != share)
        i++;
    if (i == seg->nparts) {
        if (i == JOURNAL_PARTS - 1)
            share = &seg->journal->store->others;
        else if (i == JOURNAL_PARTS)
            i--;
        if (i == seg->nparts) {
            seg->parts[i] = (struct journal_part){share, 0};
            seg->nparts++;
            share->segments++;
        }
    }
    seg->parts[i].bytes += n;
    seg->parts[i].share->bytes += n;
}

void journal_drop_parts(struct journal_segment *seg)
{
    for (unsigned i = 0; i < seg->nparts; i++) {
        seg->parts[i].share->bytes -= seg->parts[i].bytes;
        seg->parts[i].share->segments--;
    }
    if (seg->group)
        seg->group->bytes -= seg->group_bytes;
}

/* The bytes of <share> in <j>. */
static uint64_t part_of(const struct journal *j, const struct journal_share *share)
{
    uint64_t bytes = 0;

    list_for_each (it, &j->segments) {
        const struct journal_segment *seg = list_entry(it, struct journal_segment, node);

        for (unsigned i = 0; i < seg->nparts; i++)
            if (seg->parts[i].share == share)
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
    uint64_t allow, left, left_for_it, cost = j ? j->cost : 0;

    if (s->failing || s->stats.bytes + n > s->bytes_max || cost + n > s->host_max)
        return false;
    left = s->bytes_max - s->stats.bytes - n;
    left_for_it = share && share->group ? journal_group_left(share->group->bytes + n, left) : left;
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
