/* See ledger.h. */
#include "drains/core/ledger.h"

#include <stdlib.h>

#include "base/list.h"
#include "drains/core/worker_internal.h"

#define LEDGER_SHARE 8 /* of what is unconfirmed, that one entry may cover */

struct ledger_line {
    struct drain_cursor *cursor; /* NULL = forgotten */
    struct mark to;
    uint64_t dry_at;
};

struct ledger_entry {
    struct list node;
    uint64_t start, end;
    uint64_t since_ms;
    uint64_t records, gaps, bytes; /* <records> without <gaps> */
    struct ledger_line *lines;     /* owned */
    uint32_t len, cap;
};

struct ledger {
    struct list entries; /* oldest first */
    uint64_t end;        /* of all that was added */
};

struct ledger *ledger_create(void)
{
    struct ledger *l = xcalloc(1, sizeof *l);

    list_init(&l->entries);
    return l;
}

static struct ledger_entry *last_entry(const struct ledger *l)
{
    return list_empty(&l->entries) ? NULL : list_entry(l->entries.prev, struct ledger_entry, node);
}

static void entry_free(struct ledger_entry *wk)
{
    list_del(&wk->node);
    free(wk->lines);
    free(wk);
}

static struct ledger_line *line_of(struct ledger_entry *wk, struct drain_cursor *c)
{
    uint32_t hint = c->ledger_slot;

    if (hint < wk->len && wk->lines[hint].cursor == c)
        return &wk->lines[hint];
    return NULL; /* a cursor's hint is always that of the entry it was last added to */
}

static void entry_add(struct ledger_entry *wk, const struct batch_range *r)
{
    struct ledger_line *line = line_of(wk, r->cursor);

    if (!line) {
        if (wk->len == wk->cap) {
            wk->cap = wk->cap ? wk->cap * 2 : 4;
            wk->lines = xrealloc(wk->lines, wk->cap * sizeof *wk->lines);
        }
        r->cursor->ledger_slot = wk->len;
        r->cursor->inflight++;
        line = &wk->lines[wk->len++];
        line->cursor = r->cursor;
    }
    line->to = r->to;
    line->dry_at = r->dry_at;
}

/* Does <wk>, the last one, cover as much as it may? */
static bool entry_full(const struct ledger *l, const struct ledger_entry *wk, uint64_t now_ms)
{
    const struct ledger_entry *first = list_entry(l->entries.next, struct ledger_entry, node);

    return now_ms - wk->since_ms > LEDGER_SLOT_MS ||
           wk->end - wk->start > (wk->end - first->start) / LEDGER_SHARE;
}

void ledger_add(struct ledger *l, const struct batch *b, uint64_t now_ms)
{
    struct ledger_entry *wk = last_entry(l);

    if (!wk || entry_full(l, wk, now_ms)) {
        wk = xcalloc(1, sizeof *wk);
        wk->since_ms = now_ms;
        wk->start = l->end;
        list_add_tail(&l->entries, &wk->node);
    }
    wk->end = l->end = b->end;
    wk->records += b->records - b->gaps;
    wk->gaps += b->gaps;
    wk->bytes += b->bytes;
    for (unsigned i = 0; i < b->nranges; i++)
        if (b->ranges[i].cursor)
            entry_add(wk, &b->ranges[i]);
}

bool ledger_confirm(struct ledger *l, uint64_t end, struct drain_counters *counters)
{
    bool any = false;

    while (!list_empty(&l->entries)) {
        struct ledger_entry *wk = list_entry(l->entries.next, struct ledger_entry, node);

        if (wk->end > end)
            break;
        any = true;
        counters->records_out += wk->records;
        counters->gaps += wk->gaps;
        counters->bytes_out += wk->bytes;
        list_del(&wk->node);
        for (uint32_t i = 0; i < wk->len; i++) {
            struct drain_cursor *c = wk->lines[i].cursor;

            if (!c)
                continue;
            c->inflight--;
            cursor_ack(&c->cursor, &wk->lines[i].to);
            drain_cursor_accepted(c);
            drain_cursor_settle_idle(c);
        }
        entry_free(wk);
    }
    return any;
}

void ledger_clear(struct ledger *l, uint64_t reached)
{
    while (!list_empty(&l->entries)) {
        struct ledger_entry *wk = list_entry(l->entries.next, struct ledger_entry, node);

        for (uint32_t i = 0; i < wk->len; i++) {
            struct drain_cursor *c = wk->lines[i].cursor;

            if (!c)
                continue;
            c->inflight--;
            if (wk->end <= reached)
                c->reached = wk->lines[i].to;
        }
        entry_free(wk);
    }
    l->end = 0;
}

void ledger_free(struct ledger *l)
{
    if (!l)
        return;
    ledger_clear(l, 0);
    free(l);
}

void ledger_forget_cursor(struct ledger *l, const struct drain_cursor *c)
{
    list_for_each (it, &l->entries) {
        struct ledger_entry *wk = list_entry(it, struct ledger_entry, node);

        for (uint32_t i = 0; i < wk->len; i++)
            if (wk->lines[i].cursor == c)
                wk->lines[i].cursor = NULL;
    }
}

bool ledger_empty(const struct ledger *l)
{
    return list_empty(&l->entries);
}

uint64_t ledger_end_before(const struct ledger *l, uint64_t ms)
{
    uint64_t end = 0;

    list_for_each (it, &l->entries) {
        const struct ledger_entry *wk = list_entry(it, struct ledger_entry, node);

        if (wk->since_ms + LEDGER_SLOT_MS >= ms)
            break;
        end = wk->end;
    }
    return end;
}

uint64_t ledger_records(const struct ledger *l)
{
    uint64_t n = 0;

    list_for_each (it, &l->entries) {
        const struct ledger_entry *wk = list_entry(it, struct ledger_entry, node);

        n += wk->records + wk->gaps;
    }
    return n;
}
