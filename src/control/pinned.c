/* See pinned.h. */
#include "control/pinned.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"

struct pinned {
    uint64_t max;
    struct worker **workers; /* borrowed */
    struct {
        struct pinned_segment *list;
        size_t n;
        uint64_t evictions; /* number of the last eviction */
    } of[WORKERS_MAX];
};

struct pinned *pinned_create(uint64_t max, struct worker **workers)
{
    struct pinned *h = xcalloc(1, sizeof(*h));

    h->max = max;
    h->workers = workers;
    return h;
}

void pinned_free(struct pinned *h)
{
    if (!h)
        return;
    for (size_t w = 0; w < WORKERS_MAX; w++)
        free(h->of[w].list);
    free(h);
}

/* ---- choosing ---- */

/* Entries that belong together, as a range of an array. */
struct run {
    size_t first, end;
    uint64_t bytes; /* of files that are not given up yet; each counts once */
    uint64_t alone; /* ... that no other drain pins */
};

/* Where an entry counts. */
struct place {
    size_t stream, party, drain, pile;
    bool file_first;  /* the first entry of its file */
    bool party_first; /* ... its party's first one */
    bool shared;      /* another entry has the same file */
    bool gone;
};

/*
 *   list      by file:  [ stream                  ][ stream       ]
 *   by_party            [ party                                   ]
 *                       [ drain (of that party)   ][ drain        ]
 *                       [ pile (of one stream)][ pile ][ pile     ]
 *
 * parties[] has ranges of drains[], drains[] of piles[], piles[] of by_party[].
 */
struct ledger {
    const struct pinned_segment *list;
    size_t n;
    uint64_t total, packed; /* bytes; entries of packed files */
    struct place *places;   /* of list[i] */
    const struct pinned_segment **by_party;
    struct run *streams, *parties, *drains, *piles;
    size_t nstreams, nparties, ndrains, npiles;
};

static int compare(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int by_file(const void *pa, const void *pb)
{
    const struct pinned_segment *a = pa, *b = pb;
    int order = compare(a->stream, b->stream);

    order = order ? order : compare(a->no, b->no);
    order = order ? order : compare(a->party, b->party);
    return order ? order : compare(a->drain, b->drain);
}

static int by_party(const void *pa, const void *pb)
{
    const struct pinned_segment *const *a = pa, *const *b = pb;
    int order = compare((*a)->party, (*b)->party);

    order = order ? order : compare((*a)->drain, (*b)->drain);
    order = order ? order : compare((*a)->stream, (*b)->stream);
    return order ? order : compare((*a)->no, (*b)->no);
}

static bool same_file(const struct pinned_segment *a, const struct pinned_segment *b)
{
    return a->stream == b->stream && a->no == b->no;
}

static void sort_by_file(struct ledger *l)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct pinned_segment *s = &l->list[i];
        const struct pinned_segment *before = i ? s - 1 : NULL;
        struct place *at = &l->places[i];

        at->file_first = !before || !same_file(before, s);
        at->party_first = at->file_first || before->party != s->party;
        at->shared = !at->file_first || (i + 1 < l->n && same_file(s, s + 1));
        if (!before || before->stream != s->stream)
            l->streams[l->nstreams++] = (struct run){.first = i};
        at->stream = l->nstreams - 1;
        l->streams[at->stream].end = i + 1;
        l->by_party[i] = s;
    }
}

static void sort_by_party(struct ledger *l)
{
    qsort(l->by_party, l->n, sizeof(struct pinned_segment *), by_party);
    for (size_t i = 0; i < l->n; i++) {
        const struct pinned_segment *s = l->by_party[i], *before = i ? l->by_party[i - 1] : NULL;
        struct place *at = &l->places[s - l->list];
        bool party = !before || before->party != s->party;
        bool drain = party || before->drain != s->drain;

        if (party)
            l->parties[l->nparties++] = (struct run){.first = l->ndrains};
        if (drain)
            l->drains[l->ndrains++] = (struct run){.first = l->npiles};
        if (drain || before->stream != s->stream)
            l->piles[l->npiles++] = (struct run){.first = i};
        at->party = l->nparties - 1;
        at->drain = l->ndrains - 1;
        at->pile = l->npiles - 1;
        l->parties[at->party].end = l->ndrains;
        l->drains[at->drain].end = l->npiles;
        l->piles[at->pile].end = i + 1;
    }
}

static void change(uint64_t *sum, uint64_t bytes, bool add)
{
    *sum = add ? *sum + bytes : *sum - bytes;
}

/* Adds what entry <i> pins to the sums, or takes it off them. */
static void count(struct ledger *l, size_t i, bool add)
{
    const struct place *at = &l->places[i];
    uint64_t bytes = l->list[i].bytes;

    if (at->file_first) {
        change(&l->total, bytes, add);
        change(&l->streams[at->stream].bytes, bytes, add);
    }
    if (at->party_first)
        change(&l->parties[at->party].bytes, bytes, add);
    change(&l->drains[at->drain].bytes, bytes, add);
    change(&l->piles[at->pile].bytes, bytes, add);
    if (!at->shared)
        change(&l->piles[at->pile].alone, bytes, add);
    if (l->list[i].packed)
        change(&l->packed, 1, add);
}

static void ledger_open(struct ledger *l, struct pinned_segment *list, size_t n)
{
    qsort(list, n, sizeof(*list), by_file);
    *l = (struct ledger){.list = list, .n = n};
    l->places = xcalloc(n, sizeof(*l->places));
    l->by_party = xcalloc(n, sizeof(struct pinned_segment *));
    l->streams = xcalloc(4 * n, sizeof(struct run));
    l->parties = l->streams + n;
    l->drains = l->parties + n;
    l->piles = l->drains + n;
    sort_by_file(l);
    sort_by_party(l);
    for (size_t i = 0; i < n; i++)
        count(l, i, true);
}

static void ledger_close(struct ledger *l)
{
    free(l->places);
    free((void *)l->by_party);
    free(l->streams);
}

/* The one of runs[first..end) with most bytes; <end> if none has any. */
static size_t most_bytes(const struct run *runs, size_t first, size_t end)
{
    size_t best = end;

    for (size_t i = first; i < end; i++)
        if (runs[i].bytes > (best == end ? 0 : runs[best].bytes))
            best = i;
    return best;
}

static size_t most_alone(const struct run *runs, size_t first, size_t end)
{
    size_t best = end;

    for (size_t i = first; i < end; i++)
        if (runs[i].alone > (best == end ? 0 : runs[best].alone))
            best = i;
    return best;
}

static const struct pinned_segment *largest_packed(const struct ledger *l)
{
    const struct pinned_segment *best = NULL;

    for (size_t i = 0; l->packed && i < l->n; i++)
        if (l->list[i].packed && !l->places[i].gone && (!best || l->list[i].bytes > best->bytes))
            best = &l->list[i];
    return best;
}

static const struct pinned_segment *oldest_of_stream(const struct ledger *l, const struct run *run)
{
    for (size_t i = run->first; i < run->end; i++)
        if (!l->places[i].gone)
            return &l->list[i];
    return NULL;
}

/* The oldest file of the stream of which the drain pins most, if possible one that no other drain
 * needs; <alone>: no other. */
static const struct pinned_segment *oldest_of_drain(const struct ledger *l, const struct run *drain,
                                                    bool alone)
{
    size_t best = most_alone(l->piles, drain->first, drain->end);

    if (best != drain->end)
        alone = true;
    else if (!alone)
        best = most_bytes(l->piles, drain->first, drain->end);
    if (best == drain->end)
        return NULL;
    for (size_t i = l->piles[best].first; i < l->piles[best].end; i++) {
        const struct place *at = &l->places[l->by_party[i] - l->list];

        if (!at->gone && (!alone || !at->shared))
            return l->by_party[i];
    }
    return NULL;
}

/* The next file to give up; NULL = it fits the budget. */
static const struct pinned_segment *choose(const struct ledger *l, uint64_t max)
{
    const struct run *stream, *party;
    const struct pinned_segment *found;
    size_t i = most_bytes(l->streams, 0, l->nstreams);

    if (i == l->nstreams)
        return NULL;
    stream = &l->streams[i];
    if (l->total <= max && stream->bytes <= max / PINNED_STREAM_PART)
        return NULL;
    found = largest_packed(l);
    if (!found && l->by_party[0]->party == 0 && l->by_party[0]->drain == 0)
        found = oldest_of_drain(l, &l->drains[0], true);
    if (found)
        return found;
    if (stream->bytes > max / PINNED_STREAM_PART)
        return oldest_of_stream(l, stream);
    party = &l->parties[most_bytes(l->parties, 0, l->nparties)];
    return oldest_of_drain(l, &l->drains[most_bytes(l->drains, party->first, party->end)], false);
}

static void give_up(struct ledger *l, const struct pinned_segment *file)
{
    size_t i = (size_t)(file - l->list);

    while (!l->places[i].file_first)
        i--;
    do {
        count(l, i, false);
        l->places[i].gone = true;
    } while (++i < l->n && !l->places[i].file_first);
}

/* Moves the entries that are not given up to the start of the list, and returns their number. */
static size_t keep(struct pinned_segment *list, const struct ledger *l)
{
    size_t kept = 0;

    for (size_t i = 0; i < l->n; i++)
        if (!l->places[i].gone)
            list[kept++] = list[i];
    return kept;
}

/* Chooses until at most <max> bytes are left. Returns how many were chosen; if there is room for
 * more, the list then has the *n entries that are left. */
static size_t choose_some(struct pinned_segment *list, size_t *n, uint64_t max,
                          struct pinned_segment *files, size_t room)
{
    const struct pinned_segment *found;
    struct ledger l;
    size_t chosen = 0;

    if (*n == 0)
        return 0;
    ledger_open(&l, list, *n);
    while (chosen < room && (found = choose(&l, max))) {
        files[chosen++] = *found;
        give_up(&l, found);
    }
    if (chosen < room)
        *n = keep(list, &l);
    ledger_close(&l);
    return chosen;
}

/* A file costs memory, too, however small it is: the same again, with one byte for each. */
size_t pinned_choose(struct pinned_segment *list, size_t n, uint64_t max,
                     struct pinned_segment *files, size_t room)
{
    size_t chosen = choose_some(list, &n, max, files, room);

    if (chosen == room || n <= PINNED_FILES_MAX / PINNED_STREAM_PART)
        return chosen;
    for (size_t i = 0; i < n; i++)
        list[i].bytes = 1;
    return chosen + choose_some(list, &n, PINNED_FILES_MAX, files + chosen, room - chosen);
}

/* ---- evicting ---- */

/* What all workers reported. Heap. */
static struct pinned_segment *all_of(const struct pinned *h, size_t *n)
{
    struct pinned_segment *all;

    *n = 0;
    for (size_t w = 0; w < WORKERS_MAX; w++)
        *n += h->of[w].n;
    all = xcalloc(*n + 1, sizeof(*all));
    *n = 0;
    for (size_t w = 0; w < WORKERS_MAX; w++)
        for (size_t i = 0; i < h->of[w].n; i++)
            all[(*n)++] = h->of[w].list[i];
    return all;
}

static int by_number(const void *pa, const void *pb)
{
    const struct pinned_segment *a = pa, *b = pb;
    int order = compare(a->stream, b->stream);

    return order ? order : compare(a->no, b->no);
}

/* Removes the entries of <files>, which are sorted, from what worker <w> reported, and has it give
 * them up. */
static void evict(struct pinned *h, size_t w, const struct pinned_segment *files, size_t n)
{
    struct pinned_segment *list = h->of[w].list, found[PINNED_EVICTIONS_MAX];
    bool has[PINNED_EVICTIONS_MAX] = {false};
    size_t left = 0, nfound = 0;

    for (size_t i = 0; i < h->of[w].n; i++) {
        const struct pinned_segment *file = bsearch(&list[i], files, n, sizeof(*files), by_number);

        if (file)
            has[file - files] = true;
        else
            list[left++] = list[i];
    }
    h->of[w].n = left;
    for (size_t i = 0; i < n; i++)
        if (has[i])
            found[nfound++] = files[i];
    if (nfound)
        worker_evict(h->workers[w], found, nfound, ++h->of[w].evictions);
}

void pinned_take(struct pinned *h, struct pinned_report *r)
{
    struct pinned_segment *all, files[PINNED_EVICTIONS_MAX];
    size_t n;

    if (r->evictions < h->of[r->worker].evictions)
        return; /* it was made before the worker got the last eviction: another report follows */
    free(h->of[r->worker].list);
    h->of[r->worker].list = r->list;
    h->of[r->worker].n = r->n;
    r->list = NULL;
    all = all_of(h, &n);
    n = pinned_choose(all, n, h->max, files, ARRAY_LEN(files));
    free(all);
    if (!n)
        return;
    qsort(files, n, sizeof(*files), by_number);
    for (size_t w = 0; w < WORKERS_MAX; w++)
        evict(h, w, files, n);
}
