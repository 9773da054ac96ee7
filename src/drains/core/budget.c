/*
 * Memory for batches: one budget per worker, shared by the parties that its drains belong to.
 *
 * A party is the account that a drain's memory is charged to. All drains that workloads of one
 * namespace asked for are one party; each operator's drain is a party of its own. A party may hold
 * as much as is still free. So a single greedy party ends at half of the budget, n greedy parties
 * at 1/(n+1) each, and a party that holds nothing finds as much free as each of the others holds.
 *
 *   INFLIGHT_MAX  |== party a ==|== party b ==|------ free ------|
 *                                     b may take more while b < free
 *
 * Above INFLIGHT_MAX there is a reserve for small batches of parties that hold nothing.
 *
 * A request without an answer cannot be made to return the memory that it holds beside its body. So
 * all requests together may hold REQUESTS_MAX, and those of one party a part of what is left of
 * that: a hundred parties with hanging receivers still leave room for large batches of the others.
 * Each drain may always have one request.
 *
 * Answers that must be read whole have a budget of their own, ANSWERS_MAX, shared by the same rule:
 * a peer that sends its answer slowly takes no memory from parties that hold less.
 *
 * A drain that connects for the first time may be in a handshake, and cost as much as a connected
 * one, for as long as its peer likes. So their number is shared, too (FIRST_TRIES_MAX).
 *
 * A body is charged while it is in memory, not while its answer is awaited. The member returns it
 * when the kernel has taken all of it, and a body that makes no progress is shelved (shelf.c). So
 * memory becomes free soon, whatever the receivers do.
 */
#include <stdlib.h>
#include <string.h>

#include "base/share.h"
#include "drains/core/worker_internal.h"

#define WAKE_MAX 64 /* drains woken at once when memory becomes free: bounds the work of one turn */

struct party {
    unsigned refs;
    unsigned unused; /* drains that have no stream */
    unsigned tries;  /* drains that connect for the first time */
    size_t bytes;    /* charged in total */
    size_t fixed;    /* of <bytes>: cannot be freed before an answer arrives */
    size_t answers;  /* bytes of answers, not part of <bytes> */
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
    list_del(&d->starved_node);
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

    if (bytes < b->charged && !list_empty(&wk->starved)) {
        wk->memory_freed = true;
        loop_task_post(&wk->loop, &wk->turn);
    }
    wk->inflight_bytes = wk->inflight_bytes - b->charged + bytes;
    p->bytes = p->bytes - b->charged + bytes;
    p->fixed = p->fixed - b->charged_fixed + b->fixed;
    wk->request_bytes = wk->request_bytes - b->charged_fixed + b->fixed;
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

static bool one_more_request(const struct drain *d)
{
    size_t used = d->worker->request_bytes;
    size_t left = used < REQUESTS_MAX ? REQUESTS_MAX - used : 0;

    return d->party->fixed + REQUEST_BYTES <= left / REQUESTS_PART;
}

size_t budget_room(const struct drain *d)
{
    size_t used = d->worker->inflight_bytes, has = d->party->bytes;
    size_t left = used < INFLIGHT_MAX ? INFLIGHT_MAX - used : 0;
    size_t room = left > has ? left - has : 0;

    if (d->ninflight && d->party->fixed && !one_more_request(d))
        return 0;
    if (room >= BATCH_BYTES_SMALL)
        return room;
    return !has && used < INFLIGHT_MAX + INFLIGHT_RESERVE ? BATCH_BYTES_SMALL : 0;
}

/* ---- first connections ---- */

static bool is_trying(const struct drain *d)
{
    return !d->counters.connects && !drain_is_transient(d) &&
           (d->state == DRAIN_OPENING || d->ninflight);
}

void budget_tries(const struct drain *d)
{
    if (d->counters.connects || !d->party)
        return;
    d->party->tries++;
    d->worker->tries++;
}

void budget_count_tries(struct worker *wk)
{
    wk->tries = 0;
    list_for_each (it, &wk->all) {
        const struct drain *d = list_entry(it, struct drain, node);

        if (d->party)
            d->party->tries = 0;
    }
    list_for_each (it, &wk->all) {
        const struct drain *d = list_entry(it, struct drain, node);

        if (is_trying(d))
            budget_tries(d);
    }
}

bool budget_may_try(const struct drain *d)
{
    static const struct share_limits limits = {FIRST_TRIES_MAX, FIRST_TRIES_PARTY_MAX,
                                               FIRST_TRIES_GUARANTEED, FIRST_TRIES_RESERVE};

    return d->counters.connects || !d->party ||
           share_fits(&limits, d->party->tries + UINT64_C(1), d->worker->tries + UINT64_C(1));
}

/* ---- waiting for memory ---- */

void budget_wait(struct drain *d)
{
    struct worker *wk = d->worker;

    if (!list_empty(&d->starved_node))
        return;
    list_add_tail(&wk->starved, &d->starved_node);
    if (loop_timer_left(wk->shelf_timer) > SHELVE_STARVED_MS)
        loop_timer_start(wk->shelf_timer, SHELVE_STARVED_MS);
}

void budget_wake(struct worker *wk)
{
    wk->memory_freed = false;
    for (unsigned n = 0; n < WAKE_MAX && !list_empty(&wk->starved); n++) {
        struct drain *d = list_entry(wk->starved.next, struct drain, starved_node);

        list_del(&d->starved_node);
        worker_want(wk, d);
    }
}
