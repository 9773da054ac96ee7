/* Adds up the reports of the workers. */
#include "report/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"

/* Ordered from states that need no attention to those that do. */
static const char *const by_concern[] = {"open", "closed", "closing", "opening", "waiting", "held"};

static size_t concern(const char *state)
{
    for (size_t i = 0; i < ARRAY_LEN(by_concern); i++)
        if (strcmp(state, by_concern[i]) == 0)
            return i;
    return ARRAY_LEN(by_concern);
}

_Static_assert(sizeof(struct reader_stats) % sizeof(uint64_t) == 0, "counters_add()");
_Static_assert(sizeof(struct scheme_counters) % sizeof(uint64_t) == 0, "counters_add()");

static void count_state(struct drain_row *row, const char *state)
{
    row->workers++;
    row->open += strcmp(state, "open") == 0;
    if (!row->state || concern(state) > concern(row->state))
        row->state = state;
    for (unsigned i = 0; i < SNAPSHOT_STATES; i++) {
        if (!row->states[i].name)
            row->states[i].name = state;
        if (strcmp(row->states[i].name, state) == 0) {
            row->states[i].workers++;
            return;
        }
    }
    BUG("snapshot: more than %d states", SNAPSHOT_STATES);
}

static void add_drain(struct drain_row *row, const struct drain_report *d)
{
    bool same = row->namespace && d->namespace && strcmp(row->namespace, d->namespace) == 0;

    if (!row->name || (d->streams && !row->streams))
        row->namespace = d->namespace;
    else if (d->streams && !same)
        row->namespace = NULL;
    row->name = d->name;
    row->owner = d->owner;
    row->promise = d->promise;
    row->lines = d->lines;
    if (d->error)
        row->error = d->error;
    count_state(row, d->state);
    row->streams += d->streams;
    row->lag_bytes += d->lag_bytes;
    if (d->lag_ms > row->lag_ms)
        row->lag_ms = d->lag_ms;
    if (d->succeeded_at_ms > row->succeeded_at_ms)
        row->succeeded_at_ms = d->succeeded_at_ms;
    if (d->retry_in_ms && (!row->retry_in_ms || d->retry_in_ms < row->retry_in_ms))
        row->retry_in_ms = d->retry_in_ms;
    row->growth += d->growth;
    if (d->pinned_most > row->pinned_most)
        row->pinned_most = d->pinned_most;
    drain_counters_add(&row->counters, &d->counters);
    row->refused = row->counters.rejected - row->counters.too_large;
    row->errors = row->counters.connect_errors + row->counters.disconnects + row->counters.retries +
                  row->counters.rejected;
}

static void add_scheme(struct snapshot *s, const struct scheme_report *r)
{
    unsigned i = 0;

    while (i < s->nschemes &&
           (s->schemes[i].owner != r->owner || strcmp(s->schemes[i].scheme, r->scheme) != 0))
        i++;
    if (i == s->nschemes)
        s->schemes[s->nschemes++] = (struct scheme_report){.scheme = r->scheme, .owner = r->owner};
    counters_add(&s->schemes[i].counters, &r->counters, sizeof(r->counters));
}

static int by_scheme(const void *a, const void *b)
{
    const struct scheme_report *x = a, *y = b;
    return x->owner != y->owner ? x->owner - y->owner : strcmp(x->scheme, y->scheme);
}

/* <rows>: operators', owners'. */
static void add_report(struct snapshot *s, struct map rows[2], const struct worker_report *r)
{
    for (unsigned i = 0; i < r->ndrains; i++) {
        struct str name = str_of(r->drains[i].name);
        struct map *of = &rows[r->drains[i].owner];
        struct drain_row *row = map_get(of, name);

        if (!row) {
            row = &s->rows[s->nrows++];
            map_put(of, name, row);
        }
        add_drain(row, &r->drains[i]);
    }
    for (unsigned i = 0; i < r->nschemes; i++)
        add_scheme(s, &r->schemes[i]);
    counters_add(&s->reader, &r->reader, sizeof(s->reader));
    s->segments += r->segments;
    s->cursors += r->cursors;
    s->parked += r->parked;
    s->parked_dropped += r->parked_dropped;
    drain_counters_add(&s->past, &r->past);
    s->pinned_bytes += r->pinned_bytes;
    s->inflight_bytes += r->inflight_bytes;
    if (r->turn_ms_max > s->turn_ms_max)
        s->turn_ms_max = r->turn_ms_max;
}

/* Time until HELD_BYTES_MAX, or the stream's share of it, would cost lines. Files that still have a
 * name are not counted, so the real time is not shorter. */
static uint64_t to_loss_ms(const struct snapshot *s, const struct drain_row *row)
{
    uint64_t max = s->node.pinned_max, share = max / PINNED_STREAM_PART;
    uint64_t node = max > s->pinned_bytes ? max - s->pinned_bytes : 0;
    uint64_t stream = share > row->pinned_most ? share - row->pinned_most : 0;

    if (!row->growth)
        return UINT64_MAX;
    return (node < stream ? node : stream) / row->growth * 1000;
}

static int by_name(const void *a, const void *b)
{
    const struct drain_row *x = a, *y = b;

    return strcmp(x->name, y->name);
}

/* Owners' drains without a stream get no row, because an owner may list any number of URLs. */
static void drop_unused(struct snapshot *s)
{
    unsigned n = 0;

    for (unsigned i = 0; i < s->nrows; i++) {
        if (s->rows[i].owner && !s->rows[i].streams)
            drain_counters_add(&s->past, &s->rows[i].counters);
        else
            s->rows[n++] = s->rows[i];
    }
    s->nrows = n;
}

void snapshot_init(struct snapshot *s, struct worker_report *const *reports, unsigned n,
                   const struct node_facts *node)
{
    struct map rows[2];
    size_t most = 0, schemes = 0;

    *s = (struct snapshot){.workers = n, .node = *node, .turn_ms_max = node->turn_ms_max};
    for (unsigned i = 0; i < n; i++) {
        most += reports[i] ? reports[i]->ndrains : 0;
        schemes += reports[i] ? reports[i]->nschemes : 0;
    }
    s->schemes = xcalloc(schemes + 1, sizeof(*s->schemes));
    s->rows = xcalloc(most + 1, sizeof(*s->rows));
    map_init(&rows[0]);
    map_init(&rows[1]);
    for (unsigned i = 0; i < n; i++)
        if (reports[i])
            add_report(s, rows, reports[i]);
        else
            s->incomplete = 1;
    s->unreadable = s->reader.unreadable + node->input.unreadable;
    map_release(&rows[0]);
    map_release(&rows[1]);
    drop_unused(s);
    for (unsigned i = 0; i < s->nrows; i++)
        s->rows[i].to_loss_ms = to_loss_ms(s, &s->rows[i]);
    qsort(s->rows, s->nrows, sizeof(*s->rows), by_name);
    qsort(s->schemes, s->nschemes, sizeof(*s->schemes), by_scheme);
}

void snapshot_release(struct snapshot *s)
{
    free(s->rows);
    free(s->schemes);
    s->rows = NULL;
    s->schemes = NULL;
}

uint64_t snapshot_dead(struct worker_report *const *reports, unsigned n)
{
    uint64_t dead = 0;

    for (unsigned i = 0; i < n; i++)
        dead += reports[i] ? reports[i]->dead : 0;
    return dead;
}

const char *snapshot_plain_state(const char *state)
{
    return strcmp(state, "open") == 0 || strcmp(state, "idle") == 0 ? state : "failing";
}
