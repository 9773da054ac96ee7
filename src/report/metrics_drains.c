/*
 * The series of drains in /metrics: what each is, in which states, and its figures.
 *
 * What they cost is bounded. A figure that has not moved has no series, and only
 * METRICS_DRAINS_MAX drains have series of their own: operators' first, then workloads', each
 * namespace's in turn, so that one with thousands of URLs does not hide the others'. The rest is
 * one row, "others", of gauges alone: which drains are in it changes, so a sum of their counters
 * would go down.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "report/metrics_internal.h"

#define ROW(field) offsetof(struct drain_row, field)
#define COUNT(field) offsetof(struct drain_row, counters.field)

/* When a family has a sample. A drain of which nothing has moved costs few series this way; what
 * alerts and dashboards calculate with without looking for it is there always. */
enum show {
    SHOW_ALWAYS = 0,
    SHOW_MOVED,  /* unless it is 0 */
    SHOW_FINITE, /* unless it is UINT64_MAX */
};
struct drain_family {
    struct family family;
    enum show show;
};

static const struct drain_family drain_families[] = {
    {{"logtrain_connections", "", GAUGE, "Workers on which the drain is open", ROW(open), 1},
     SHOW_ALWAYS},
    {{"logtrain_packets_sent_total", "", COUNTER,
      "Records confirmed by the drain, or for a best effort drain taken by the kernel",
      COUNT(records_out), 1},
     SHOW_ALWAYS},
    {{"logtrain_errors_total", "", COUNTER,
      "Failed connects, lost connections, batches to send again and records refused, added up",
      ROW(errors), 1},
     SHOW_ALWAYS},
    {{"logtrain_drain_read_records_total", "", COUNTER,
      "Records read for the drain, those read again included", COUNT(records_in), 1},
     SHOW_MOVED},
    {{"logtrain_drain_read_bytes_total", "", COUNTER, "Message bytes of the records read",
      COUNT(bytes_in), 1},
     SHOW_MOVED},
    {{"logtrain_drain_sent_bytes_total", "", COUNTER,
      "Message bytes of the records in logtrain_packets_sent_total", COUNT(bytes_out), 1},
     SHOW_MOVED},
    {{"logtrain_drain_wire_bytes_total", "", COUNTER,
      "Formatted bytes handed to the connection, before compression and TLS", COUNT(wire_bytes), 1},
     SHOW_MOVED},
    {{"logtrain_drain_batches_total", "", COUNTER, "Batches handed over", COUNT(batches), 1},
     SHOW_MOVED},
    {{"logtrain_drain_retries_total", "", COUNTER, "Batches that had to be sent again",
      COUNT(retries), 1},
     SHOW_MOVED},
    {{"logtrain_drain_rewinds_total", "", COUNTER,
      "Connections after whose end unconfirmed records were sent again", COUNT(rewinds), 1},
     SHOW_MOVED},
    {{"logtrain_drain_rejected_records_total", "reason=\"refused\"", COUNTER,
      "Records skipped because the peer will not take them", ROW(refused), 1},
     SHOW_MOVED},
    {{"logtrain_drain_rejected_records_total", "reason=\"too_large\"", COUNTER, "",
      COUNT(too_large), 1},
     SHOW_MOVED},
    {{"logtrain_drain_lost_records_total", "reason=\"not_sent\"", COUNTER,
      "Records of a best effort drain that are known to be lost", COUNT(lost_known), 1},
     SHOW_MOVED},
    {{"logtrain_drain_unsubscribed_records_total", "", COUNTER,
      "Records published to a Redis channel without subscribers", COUNT(unsubscribed), 1},
     SHOW_MOVED},
    {{"logtrain_drain_lost_bytes_total", "reason=\"evicted\"", COUNTER,
      "Bytes of log files that the drain will never get, counted when this is known",
      COUNT(lost[GAP_EVICTED]), 1},
     SHOW_MOVED},
    {{"logtrain_drain_lost_bytes_total", "reason=\"deleted\"", COUNTER, "",
      COUNT(lost[GAP_DELETED]), 1},
     SHOW_MOVED},
    {{"logtrain_drain_lost_bytes_total", "reason=\"truncated\"", COUNTER, "",
      COUNT(lost[GAP_TRUNCATED]), 1},
     SHOW_MOVED},
    {{"logtrain_drain_lost_bytes_total", "reason=\"restart\"", COUNTER, "",
      COUNT(lost[GAP_RESTART]), 1},
     SHOW_MOVED},
    {{"logtrain_drain_lost_bytes_total", "reason=\"refused\"", COUNTER, "",
      COUNT(lost[GAP_REFUSED]), 1},
     SHOW_MOVED},
    {{"logtrain_drain_lost_bytes_total", "reason=\"damaged\"", COUNTER, "",
      COUNT(lost[GAP_DAMAGED]), 1},
     SHOW_MOVED},
    {{"logtrain_drain_lost_bytes_total", "reason=\"compressed\"", COUNTER, "",
      COUNT(lost[GAP_COMPRESSED]), 1},
     SHOW_MOVED},
    {{"logtrain_drain_lost_bytes_total", "reason=\"cut\"", COUNTER, "", COUNT(cut), 1}, SHOW_MOVED},
    {{"logtrain_drain_gap_records_total", "", COUNTER,
      "Gap records confirmed: not lines, they say what was lost", COUNT(gaps), 1},
     SHOW_MOVED},
    {{"logtrain_drain_truncated_records_total", "", COUNTER,
      "Records cut by the drain's max=", COUNT(truncated), 1},
     SHOW_MOVED},
    {{"logtrain_drain_filtered_lines_total", "reason=\"container\"", COUNTER,
      "Lines that an option of the drain's URL left out; those that are read again count once",
      COUNT(filtered[SIEVE_CONTAINER]), 1},
     SHOW_MOVED},
    {{"logtrain_drain_filtered_lines_total", "reason=\"stream\"", COUNTER, "",
      COUNT(filtered[SIEVE_STREAM]), 1},
     SHOW_MOVED},
    {{"logtrain_drain_filtered_lines_total", "reason=\"include\"", COUNTER, "",
      COUNT(filtered[SIEVE_INCLUDE]), 1},
     SHOW_MOVED},
    {{"logtrain_drain_filtered_lines_total", "reason=\"exclude\"", COUNTER, "",
      COUNT(filtered[SIEVE_EXCLUDE]), 1},
     SHOW_MOVED},
    {{"logtrain_drain_filtered_lines_total", "reason=\"level\"", COUNTER, "",
      COUNT(filtered[SIEVE_LEVEL]), 1},
     SHOW_MOVED},
    {{"logtrain_drain_filtered_lines_total", "reason=\"sample\"", COUNTER, "",
      COUNT(filtered[SIEVE_SAMPLE]), 1},
     SHOW_MOVED},
    {{"logtrain_drain_filtered_lines_total", "reason=\"rate\"", COUNTER, "",
      COUNT(filtered[SIEVE_RATE]), 1},
     SHOW_MOVED},
    {{"logtrain_drain_undecided_lines_total", "", COUNTER,
      "Lines that were sent because an expression of include= or exclude= takes too long to decide",
      COUNT(undecided), 1},
     SHOW_MOVED},
    {{"logtrain_drain_redacted_lines_total", "", COUNTER,
      "Lines in which redact= has masked something", COUNT(redacted), 1},
     SHOW_MOVED},
    {{"logtrain_drain_unconfirmed_bytes_total", "", COUNTER,
      "Bytes of log files passed after rewinds without ever being confirmed", COUNT(unconfirmed),
      1},
     SHOW_MOVED},
    {{"logtrain_drain_connects_total", "", COUNTER, "Connections made", COUNT(connects), 1},
     SHOW_MOVED},
    {{"logtrain_drain_connect_errors_total", "", COUNTER, "Connections that could not be made",
      COUNT(connect_errors), 1},
     SHOW_MOVED},
    {{"logtrain_drain_disconnects_total", "", COUNTER, "Connections that ended abnormally",
      COUNT(disconnects), 1},
     SHOW_MOVED},
    {{"logtrain_drain_last_success_timestamp_seconds", "", GAUGE,
      "When the peer last took something, since the epoch", ROW(succeeded_at_ms), 1000},
     SHOW_MOVED},
    {{"logtrain_drain_streams", "", GAUGE, "Streams routed to the drain", ROW(streams), 1},
     SHOW_ALWAYS},
    {{"logtrain_drain_lag_bytes", "", GAUGE, "Bytes of log files not yet confirmed", ROW(lag_bytes),
      1},
     SHOW_ALWAYS},
    {{"logtrain_drain_lag_seconds", "", GAUGE, "Time since everything had been sent", ROW(lag_ms),
      1000},
     SHOW_ALWAYS},
    {{"logtrain_drain_seconds_to_loss", "", GAUGE,
      "Time until HELD_BYTES_MAX would cost lines if the lag goes on growing as it does",
      ROW(to_loss_ms), 1000},
     SHOW_FINITE},
    {{"logtrain_drain_retry_in_seconds", "", GAUGE, "Time until the drain is tried again, 0 if now",
      ROW(retry_in_ms), 1000},
     SHOW_MOVED},
};

/* The families that anybody may see of all owners' drains together: amounts, not how peers
 * answer. */
static bool is_public(const struct family *f)
{
    static const size_t fields[] = {
        COUNT(records_out),
        COUNT(records_in),
        COUNT(bytes_in),
        COUNT(bytes_out),
        COUNT(lost[GAP_EVICTED]),
        COUNT(lost[GAP_DELETED]),
        COUNT(lost[GAP_TRUNCATED]),
        COUNT(lost[GAP_RESTART]),
        COUNT(cut),
        ROW(streams),
        ROW(lag_bytes),
        ROW(lag_ms),
        ROW(to_loss_ms),
    };

    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (f->offset == fields[i])
            return true;
    return false;
}

/* Has <row> a series of <f>? */
static bool is_shown(const struct drain_family *of, const struct drain_row *row)
{
    const struct family *f = &of->family;
    uint64_t v = metrics_field(row, f);

    if (row->folded == FOLDED_OWNERS && !is_public(f))
        return false;
    if (row->folded == FOLDED_OTHERS && f->type[0] != GAUGE[0])
        return false;
    return of->show == SHOW_ALWAYS || (of->show == SHOW_MOVED ? v != 0 : v != UINT64_MAX);
}

static int add_drain_sample(struct buf *out, const struct drain_family *of,
                            const struct drain_row *row)
{
    const struct family *f = &of->family;

    if (!is_shown(of, row))
        return 0;
    if (buf_addf(out, "%s{", f->name) < 0 || metrics_add_label(out, "drain", row->name) < 0 ||
        buf_addf(out, "%s%s}", *f->labels ? "," : "", f->labels) < 0)
        return -1;
    return metrics_add_value(out, metrics_field(row, f), f->per);
}

/* "idle" is no news of a drain that has other workers, too. */
static bool is_told(const struct drain_row *row, unsigned state)
{
    return strcmp(row->states[state].name, "idle") != 0 || !row->states[1].name;
}

static int add_states(struct buf *out, const struct snapshot *s)
{
    if (metrics_add_head(out, "logtrain_drain_state", "Workers on which the drain is in this state",
                         GAUGE) < 0)
        return -1;
    for (unsigned i = 0; i < s->nrows; i++)
        for (unsigned k = 0; k < SNAPSHOT_STATES && s->rows[i].states[k].name; k++)
            if (is_told(&s->rows[i], k) &&
                (buf_addf(out, "logtrain_drain_state{") < 0 ||
                 metrics_add_label(out, "drain", s->rows[i].name) < 0 || buf_add_ch(out, ',') < 0 ||
                 metrics_add_label(out, "state", s->rows[i].states[k].name) < 0 ||
                 buf_addf(out, "} %" PRIu64 "\n", s->rows[i].states[k].workers) < 0))
                return -1;
    return 0;
}

/* Who asked for a drain, to join with the families below. Nothing is shown for rows that are
 * several drains. */
static int add_info(struct buf *out, const struct snapshot *s)
{
    if (metrics_add_head(out, "logtrain_drain_info",
                         "Always 1: who asked for the drain, and what it promises", GAUGE) < 0)
        return -1;
    for (unsigned i = 0; i < s->nrows; i++) {
        const struct drain_row *row = &s->rows[i];

        if (row->folded)
            continue;
        if (buf_addf(out, "logtrain_drain_info{") < 0 ||
            metrics_add_label(out, "drain", row->name) < 0 ||
            buf_addf(out, ",source=\"%s\",", row->owner ? "workload" : "operator") < 0 ||
            metrics_add_label(out, "namespace", row->namespace ? row->namespace : "") < 0 ||
            buf_add_ch(out, ',') < 0 || metrics_add_label(out, "promise", row->promise) < 0 ||
            buf_addf(out, "} 1\n") < 0)
            return -1;
    }
    return 0;
}

static int add_drain_families(struct buf *out, const struct snapshot *s)
{
    for (size_t i = 0; i < ARRAY_LEN(drain_families); i++) {
        const struct family *f = &drain_families[i].family;

        if (*f->help && metrics_add_head(out, f->name, f->help, f->type) < 0)
            return -1;
        for (unsigned k = 0; k < s->nrows; k++)
            if (add_drain_sample(out, &drain_families[i], &s->rows[k]) < 0)
                return -1;
    }
    return 0;
}

/* ---- several drains in one row ---- */

static void fold_states(struct drain_row *all, const struct drain_row *row)
{
    for (unsigned i = 0; i < SNAPSHOT_STATES && row->states[i].name; i++) {
        unsigned k = 0;

        while (all->states[k].name && strcmp(all->states[k].name, row->states[i].name) != 0)
            if (++k == SNAPSHOT_STATES)
                BUG("metrics: more than %d states", SNAPSHOT_STATES);
        all->states[k].name = row->states[i].name;
        all->states[k].workers += row->states[i].workers;
    }
}

static void fold(struct drain_row *all, const struct drain_row *row)
{
    drain_counters_add(&all->counters, &row->counters);
    all->open += row->open;
    all->streams += row->streams;
    all->lag_bytes += row->lag_bytes;
    if (row->lag_ms > all->lag_ms)
        all->lag_ms = row->lag_ms;
    if (row->to_loss_ms < all->to_loss_ms)
        all->to_loss_ms = row->to_loss_ms;
    if (all->folded == FOLDED_OTHERS)
        fold_states(all, row);
}

/* The place of a drain in the line for series of its own. */
struct place {
    const struct drain_row *row;
    uint64_t turn; /* it is its namespace's n-th */
};

static int by_turn(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->row->owner != y->row->owner)
        return x->row->owner ? 1 : -1;
    if (x->turn != y->turn)
        return x->turn < y->turn ? -1 : 1;
    return x->row < y->row ? -1 : 1; /* by name */
}

static int by_row(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    return x->row < y->row ? -1 : 1;
}

/* Those that are shown, and "others". Owned by the caller. */
static struct drain_row *choose(const struct snapshot *s, unsigned *n)
{
    struct place *line = xcalloc(s->nrows, sizeof(*line));
    uint64_t *turns = xcalloc(s->nrows, sizeof(*turns));
    struct drain_row *rows = xcalloc(METRICS_DRAINS_MAX + 1, sizeof(*rows));
    struct drain_row others = {
        .name = DRAIN_OTHERS, .folded = FOLDED_OTHERS, .to_loss_ms = UINT64_MAX};
    struct map of;

    map_init(&of);
    for (unsigned i = 0; i < s->nrows; i++) {
        const struct drain_row *row = &s->rows[i];
        struct str namespace = str_of(row->owner && row->namespace ? row->namespace : "");
        uint64_t *turn = map_get(&of, namespace);

        if (!turn) {
            turn = &turns[i];
            (void)map_put(&of, namespace, turn);
        }
        line[i] = (struct place){row, row->owner ? (*turn)++ : 0};
    }
    map_release(&of);
    qsort(line, s->nrows, sizeof(*line), by_turn);
    qsort(line, METRICS_DRAINS_MAX, sizeof(*line), by_row);
    for (unsigned i = 0; i < s->nrows; i++)
        if (i < METRICS_DRAINS_MAX)
            rows[i] = *line[i].row;
        else
            fold(&others, line[i].row);
    rows[METRICS_DRAINS_MAX] = others;
    *n = METRICS_DRAINS_MAX + 1;
    free(line);
    free(turns);
    return rows;
}

static int add_all(struct buf *out, const struct snapshot *s)
{
    return add_info(out, s) < 0 || add_states(out, s) < 0 || add_drain_families(out, s) < 0 ? -1
                                                                                            : 0;
}

int metrics_add_drains(struct buf *out, const struct snapshot *s)
{
    struct snapshot shown = *s;
    int rc;

    if (metrics_add_head(out, "logtrain_drains",
                         "Drains, those without series of their own included", GAUGE) < 0 ||
        buf_addf(out, "logtrain_drains %u\n", s->nrows) < 0)
        return -1;
    if (s->nrows <= METRICS_DRAINS_MAX)
        return add_all(out, s);
    shown.rows = choose(s, &shown.nrows);
    rc = add_all(out, &shown);
    free(shown.rows);
    return rc;
}

void metrics_fold_owners(const struct snapshot *s, struct snapshot *shown)
{
    struct drain_row all = {
        .name = DRAIN_OWNERS, .folded = FOLDED_OWNERS, .to_loss_ms = UINT64_MAX};
    bool any = s->past.connects || s->past.connect_errors || s->past.records_in;

    *shown = *s;
    all.counters = s->past;
    shown->rows = xcalloc(s->nrows + 1, sizeof(*shown->rows));
    shown->nrows = 0;
    for (unsigned i = 0; i < s->nrows; i++) {
        if (!s->rows[i].owner) {
            shown->rows[shown->nrows++] = s->rows[i];
            continue;
        }
        fold(&all, &s->rows[i]);
        any = true;
    }
    if (any)
        shown->rows[shown->nrows++] = all;
}
