/* See held.h. */
#include "control/held.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"

struct held {
    uint64_t max;
    struct engine **engines; /* borrowed */
    struct {
        struct held_segment *list;
        size_t n;
        uint64_t evictions; /* asked for */
    } workers[WORKERS_MAX];
};

struct held *held_create(uint64_t max, struct engine **engines)
{
    struct held *h = xcalloc(1, sizeof(*h));

    h->max = max;
    h->engines = engines;
    return h;
}

void held_free(struct held *h)
{
    if (!h)
        return;
    for (size_t w = 0; w < WORKERS_MAX; w++)
        free(h->workers[w].list);
    free(h);
}

/* ---- choosing ---- */

static int by_file(const void *pa, const void *pb)
{
    const struct held_segment *a = pa, *b = pb;

    if (a->stream != b->stream)
        return a->stream < b->stream ? -1 : 1;
    return a->no < b->no ? -1 : a->no > b->no;
}

static bool same_file(const struct held_segment *a, const struct held_segment *b)
{
    return a->stream == b->stream && a->no == b->no;
}

/* <list> is sorted: is entry <i> the first of its file? */
static bool is_first(const struct held_segment *list, size_t i)
{
    return i == 0 || !same_file(&list[i - 1], &list[i]);
}

static bool is_shared(const struct held_segment *list, size_t n, size_t i)
{
    return !is_first(list, i) || (i + 1 < n && same_file(&list[i], &list[i + 1]));
}

static const struct held_segment *largest_packed(const struct held_segment *list, size_t n)
{
    const struct held_segment *best = NULL;

    for (size_t i = 0; i < n; i++)
        if (list[i].packed && (!best || list[i].bytes > best->bytes))
            best = &list[i];
    return best;
}

/* The stream that holds most; *bytes is what it holds, *total what all do. */
static const struct held_segment *largest_stream(const struct held_segment *list, size_t n,
                                                 uint64_t *bytes, uint64_t *total)
{
    const struct held_segment *best = NULL, *stream = NULL;
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

static uint64_t largest_drain(const struct held_segment *list, size_t n)
{
    uint64_t best = 0, most = 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t sum = 0;

        if (list[i].drain == best)
            continue;
        for (size_t k = 0; k < n; k++)
            sum += list[k].drain == list[i].drain ? list[k].bytes : 0;
        if (sum > most) {
            most = sum;
            best = list[i].drain;
        }
    }
    return best;
}

/* The oldest file of the stream of which <drain> holds most; <alone>: that nobody else holds. */
static const struct held_segment *oldest_of(const struct held_segment *list, size_t n,
                                            uint64_t drain, bool alone)
{
    const struct held_segment *best = NULL, *oldest = NULL;
    uint64_t sum = 0, most = 0;

    for (size_t i = 0; i < n; i++) {
        if (list[i].drain != drain || (alone && is_shared(list, n, i)))
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

const struct held_segment *held_choose(struct held_segment *list, size_t n, uint64_t max)
{
    const struct held_segment *stream, *found;
    uint64_t most, total, drain;

    if (n == 0)
        return NULL;
    qsort(list, n, sizeof(*list), by_file);
    stream = largest_stream(list, n, &most, &total);
    if (total <= max && most <= max / HELD_STREAM_PART)
        return NULL;
    found = largest_packed(list, n);
    if (found)
        return found;
    if (most > max / HELD_STREAM_PART)
        return stream;
    drain = largest_drain(list, n);
    found = oldest_of(list, n, drain, true);
    return found ? found : oldest_of(list, n, drain, false);
}

/* ---- giving up ---- */

/* All that the workers told of. Heap. */
static struct held_segment *all_of(const struct held *h, size_t *n)
{
    struct held_segment *all;

    *n = 0;
    for (size_t w = 0; w < WORKERS_MAX; w++)
        *n += h->workers[w].n;
    all = xcalloc(*n + 1, sizeof(*all));
    *n = 0;
    for (size_t w = 0; w < WORKERS_MAX; w++)
        for (size_t i = 0; i < h->workers[w].n; i++)
            all[(*n)++] = h->workers[w].list[i];
    return all;
}

/* Takes the entries of <file> out. True when there was one. */
static bool take_out(struct held_segment *list, size_t *n, const struct held_segment *file)
{
    size_t left = 0, had = *n;

    for (size_t i = 0; i < had; i++)
        if (!same_file(&list[i], file))
            list[left++] = list[i];
    *n = left;
    return left < had;
}

static void evict(struct held *h, const struct held_segment *file)
{
    for (size_t w = 0; w < WORKERS_MAX; w++)
        if (take_out(h->workers[w].list, &h->workers[w].n, file))
            engine_evict(h->engines[w], file, ++h->workers[w].evictions);
}

void held_take(struct held *h, struct held_report *r)
{
    const struct held_segment *found;
    struct held_segment *all, file;
    size_t n;

    if (r->evictions < h->workers[r->worker].evictions)
        return; /* it was written before our last word came: another follows */
    free(h->workers[r->worker].list);
    h->workers[r->worker].list = r->list;
    h->workers[r->worker].n = r->n;
    r->list = NULL;
    all = all_of(h, &n);
    while ((found = held_choose(all, n, h->max))) {
        file = *found;
        evict(h, &file);
        (void)take_out(all, &n, &file);
    }
    free(all);
}
