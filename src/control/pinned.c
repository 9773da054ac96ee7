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

static int by_file(const void *pa, const void *pb)
{
    const struct pinned_segment *a = pa, *b = pb;

    if (a->stream != b->stream)
        return a->stream < b->stream ? -1 : 1;
    return a->no < b->no ? -1 : a->no > b->no;
}

static bool same_file(const struct pinned_segment *a, const struct pinned_segment *b)
{
    return a->stream == b->stream && a->no == b->no;
}

/* <list> is sorted: is entry <i> the first of its file? */
static bool is_first(const struct pinned_segment *list, size_t i)
{
    return i == 0 || !same_file(&list[i - 1], &list[i]);
}

static bool is_shared(const struct pinned_segment *list, size_t n, size_t i)
{
    return !is_first(list, i) || (i + 1 < n && same_file(&list[i], &list[i + 1]));
}

static const struct pinned_segment *largest_packed(const struct pinned_segment *list, size_t n)
{
    const struct pinned_segment *best = NULL;

    for (size_t i = 0; i < n; i++)
        if (list[i].packed && (!best || list[i].bytes > best->bytes))
            best = &list[i];
    return best;
}

/* The stream that pins most; *bytes is how much, *total is the sum over all streams. */
static const struct pinned_segment *largest_stream(const struct pinned_segment *list, size_t n,
                                                   uint64_t *bytes, uint64_t *total)
{
    const struct pinned_segment *best = NULL, *stream = NULL;
    uint64_t sum = 0;

    *bytes = *total = 0;
    for (size_t i = 0; i < n; i++) {
        if (!stream || list[i].stream != stream->stream) {
            stream = &list[i];
            sum = 0;
        }
        if (is_first(list, i)) {
            sum += list[i].bytes;
            *total += list[i].bytes;
        }
        if (sum > *bytes) {
            *bytes = sum;
            best = stream;
        }
    }
    return best;
}

/* Has the party of entry <i> no entry before it for the same file? */
static bool is_partys_first(const struct pinned_segment *list, size_t i)
{
    for (size_t k = i; k > 0 && same_file(&list[k - 1], &list[i]); k--)
        if (list[k - 1].party == list[i].party)
            return false;
    return true;
}

/* The party that pins most: one with many drains does not make others pay. */
static uint64_t largest_party(const struct pinned_segment *list, size_t n)
{
    uint64_t best = 0, most = 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t sum = 0;

        if (list[i].party == best)
            continue;
        for (size_t k = 0; k < n; k++)
            sum += list[k].party == list[i].party && is_partys_first(list, k) ? list[k].bytes : 0;
        if (sum > most) {
            most = sum;
            best = list[i].party;
        }
    }
    return best;
}

/* The drain of <party> that pins most. */
static uint64_t largest_drain(const struct pinned_segment *list, size_t n, uint64_t party)
{
    uint64_t best = 0, most = 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t sum = 0;

        if (list[i].drain == best || list[i].party != party)
            continue;
        for (size_t k = 0; k < n; k++)
            sum += list[k].drain == list[i].drain && list[k].party == party ? list[k].bytes : 0;
        if (sum > most) {
            most = sum;
            best = list[i].drain;
        }
    }
    return best;
}

/* The oldest file of the stream of which <drain> of <party> pins most; <alone>: only files that no
 * other drain pins. */
static const struct pinned_segment *oldest_of(const struct pinned_segment *list, size_t n,
                                              uint64_t party, uint64_t drain, bool alone)
{
    const struct pinned_segment *best = NULL, *oldest = NULL;
    uint64_t sum = 0, most = 0;

    for (size_t i = 0; i < n; i++) {
        if (list[i].party != party || list[i].drain != drain || (alone && is_shared(list, n, i)))
            continue;
        if (!oldest || oldest->stream != list[i].stream) {
            oldest = &list[i];
            sum = 0;
        }
        sum += list[i].bytes;
        if (sum > most) {
            most = sum;
            best = oldest;
        }
    }
    return best;
}

const struct pinned_segment *pinned_choose(struct pinned_segment *list, size_t n, uint64_t max)
{
    const struct pinned_segment *stream, *found;
    uint64_t most, total, party, drain;

    if (n == 0)
        return NULL;
    qsort(list, n, sizeof(*list), by_file);
    stream = largest_stream(list, n, &most, &total);
    if (total <= max && most <= max / PINNED_STREAM_PART)
        return NULL;
    found = largest_packed(list, n);
    if (found)
        return found;
    found = oldest_of(list, n, 0, 0, true);
    if (found)
        return found;
    if (most > max / PINNED_STREAM_PART)
        return stream;
    party = largest_party(list, n);
    drain = largest_drain(list, n, party);
    found = oldest_of(list, n, party, drain, true);
    return found ? found : oldest_of(list, n, party, drain, false);
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

/* Removes the entries of <file>. True when there was one. */
static bool take_out(struct pinned_segment *list, size_t *n, const struct pinned_segment *file)
{
    size_t left = 0, had = *n;

    for (size_t i = 0; i < had; i++)
        if (!same_file(&list[i], file))
            list[left++] = list[i];
    *n = left;
    return left < had;
}

static void evict(struct pinned *h, const struct pinned_segment *file)
{
    for (size_t w = 0; w < WORKERS_MAX; w++)
        if (take_out(h->of[w].list, &h->of[w].n, file))
            worker_evict(h->workers[w], file, ++h->of[w].evictions);
}

void pinned_take(struct pinned *h, struct pinned_report *r)
{
    const struct pinned_segment *found;
    struct pinned_segment *all, file;
    size_t n;

    if (r->evictions < h->of[r->worker].evictions)
        return; /* it was made before the worker got the last eviction: another report follows */
    free(h->of[r->worker].list);
    h->of[r->worker].list = r->list;
    h->of[r->worker].n = r->n;
    r->list = NULL;
    all = all_of(h, &n);
    while ((found = pinned_choose(all, n, h->max))) {
        file = *found;
        evict(h, &file);
        (void)take_out(all, &n, &file);
    }
    free(all);
}
