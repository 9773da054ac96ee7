/*
 * Memory for batches: one budget for all drains of a worker, shared by those who pay for it.
 *
 * A party is who a drain's memory is charged to: the namespace of the workload that asked for it,
 * with all its drains together, or an operator's drain by itself. A party may have as much as is
 * still free. So one that hoards ends at half of the budget, n of them at a share of n + 1, and
 * whoever has nothing always finds as much free as each of the others has.
 *
 *   INFLIGHT_MAX  |== party a ==|== party b ==|------ free ------|
 *                                     b may have more while b < free
 *
 * Beyond INFLIGHT_MAX a reserve is left for small batches of parties that have nothing.
 *
 * A request that is not answered cannot be made to give back what it takes beside its body. So
 * those of one party may have REQUESTS_PART of what is free, and a hundred parties whose receivers
 * hang leave enough for large batches of the others. One request each is always allowed.
 *
 * Answers that have to be read whole have a budget of their own, ANSWERS_MAX, shared in the same
 * way: a peer that sends one slowly keeps it from nobody who has less.
 *
 * A body is charged while it is in memory, not while its answer is awaited: a member gives it back
 * when the kernel has all of it, and what stands still is shelved (shelf.c). So what is taken is
 * soon free again, whatever the receivers do.
 */
#include <stdlib.h>
#include <string.h>

#include "drains/core/worker_internal.h"

#define WAKE_MAX 64 /* drains that look again when room was made: bounds the work of a turn */

struct party {
    unsigned refs;
    unsigned unused; /* drains without a stream */
    size_t bytes;    /* charged */
    size_t fixed;    /* of these: what nobody can make it give back before an answer comes */
    size_t answers;  /* of the peers', beside <bytes> */
    size_t len;
    char name[]; /* the namespace; "" for an operator's drain */
};

static struct party *party_create(struct str name)
{
    struct party *p = xcalloc(1, sizeof(*p) + name.len);

    p->len = name.len;
    if (name.len)
        memcpy(p->name, name.p, name.len);
    return p;
}

struct log_cause drain_cause(const struct drain *d)
{
    return LOG_BY_NAMESPACE(d->party ? str_make(d->party->name, d->party->len) : STR(""));
}

void budget_join(struct drain *d, const struct identity *id)
{
    struct worker *wk = d->worker;
    struct str name = d->spec->owner ? id->namespace : STR("");
    struct party *p = name.len ? map_get(&wk->parties, name) : NULL;

    if (d->party)
        return;
    if (!p) {
        p = party_create(name);
        if (name.len)
            (void)map_put(&wk->parties, str_make(p->name, p->len), p);
    }
    p->refs++;
    d->party = p;
}

void budget_leave(struct drain *d)
{
    struct party *p = d->party;

    budget_used(d, true);
    d->party = NULL;
    list_del(&d->cramped_node);
    if (!p || --p->refs)
        return;
    if (p->bytes || p->answers)
        BUG("drain: party freed with %zu bytes in flight", p->bytes + p->answers);
    if (p->len)
        (void)map_del(&d->worker->parties, str_make(p->name, p->len));
    free(p);
}

void budget_used(struct drain *d, bool used)
{
    if (!d->party || d->unused == !used)
        return;
    d->unused = !used;
    if (used)
        d->party->unused--;
    else
        d->party->unused++;
}

bool budget_crowded(const struct drain *d)
{
    return d->spec->owner && d->party->unused > DRAIN_UNUSED_MAX;
}

void budget_charge(struct batch *b, size_t bytes)
{
    struct worker *wk = b->drain->worker;
    struct party *p = b->drain->party;

    if (bytes < b->charged && !list_empty(&wk->cramped)) {
        wk->room_made = true;
        loop_task_post(&wk->loop, &wk->turn);
    }
    wk->inflight_bytes = wk->inflight_bytes - b->charged + bytes;
    p->bytes = p->bytes - b->charged + bytes;
    p->fixed = p->fixed - b->charged_fixed + b->fixed;
    b->charged = bytes;
    b->charged_fixed = b->fixed;
}

bool drain_charge_answer(struct batch *b, size_t bytes)
{
    struct worker *wk = b->drain->worker;
    struct party *p = b->drain->party;
    bool less = bytes <= b->answer;

    wk->answer_bytes = wk->answer_bytes - b->answer + bytes;
    p->answers = p->answers - b->answer + bytes;
    b->answer = bytes;
    return less || wk->answer_bytes + p->answers <= ANSWERS_MAX;
}

size_t budget_room(const struct drain *d)
{
    size_t used = d->worker->inflight_bytes, has = d->party->bytes;
    size_t left = used < INFLIGHT_MAX ? INFLIGHT_MAX - used : 0;
    size_t room = left > has ? left - has : 0;

    if (d->ninflight && d->party->fixed > left / REQUESTS_PART)
        return 0;
    if (room >= BATCH_BYTES_SMALL)
        return room;
    return !has && used < INFLIGHT_MAX + INFLIGHT_RESERVE ? BATCH_BYTES_SMALL : 0;
}

void budget_wait(struct drain *d)
{
    struct worker *wk = d->worker;

    if (!list_empty(&d->cramped_node))
        return;
    list_add_tail(&wk->cramped, &d->cramped_node);
    if (loop_timer_left(wk->shelf_timer) > SHELVE_CRAMPED_MS)
        loop_timer_start(wk->shelf_timer, SHELVE_CRAMPED_MS);
}

void budget_wake(struct worker *wk)
{
    wk->room_made = false;
    for (unsigned n = 0; n < WAKE_MAX && !list_empty(&wk->cramped); n++) {
        struct drain *d = list_entry(wk->cramped.next, struct drain, cramped_node);

        list_del(&d->cramped_node);
        worker_want(wk, d);
    }
}
