/* See ledger.h. */
#include "drains/core/ledger.h"

#include <stdlib.h>

#include "base/list.h"
#include "drains/core/worker_internal.h"

#define LEDGER_SHARE 8 /* most of the unconfirmed bytes that one entry may cover: 1/8 */

struct ledger_line {
    struct drain_cursor *cursor; /* NULL = removed */
    struct mark to;
    uint64_t dry_at;
};

struct ledger_entry {
    struct list node;
    uint64_t start, end;
    uint64_t since_ms;
    uint64_t records, gaps, bytes; /* <records> does not count <gaps> */
    struct ledger_line *lines;     /* owned */
    uint32_t len, cap;
};

struct ledger {
    struct list entries; /* oldest first */
    uint64_t end;        /* position after all that was added */
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

static void entry_free(struct ledger_entry *en)
{
    list_del(&en->node);
    free(en->lines);
    free(en);
}

static struct ledger_line *line_of(struct ledger_entry *en, struct drain_cursor *c)
{
    uint32_t hint = c->ledger_slot;

    if (hint < en->len && en->lines[hint].cursor == c)
        return &en->lines[hint];
    return NULL; /* a cursor's hint always names the entry it was last added to */
}

static void entry_add(struct ledger_entry *en, const struct batch_range *r)
{
    struct ledger_line *line = line_of(en, r->cursor);

    if (!line) {
        if (en->len == en->cap) {
            en->cap = en->cap ? en->cap * 2 : 4;
            en->lines = xrealloc(en->lines, en->cap * sizeof *en->lines);
        }
        r->cursor->ledger_slot = en->len;
        r->cursor->inflight++;
        line = &en->lines[en->len++];
        line->cursor = r->cursor;
    }
    line->to = r->to;
    line->dry_at = r->dry_at;
}

/* Whether <en>, the last entry, covers as much as it may. */
static bool entry_full(const struct ledger *l, const struct ledger_entry *en, uint64_t now_ms)
{
    const struct ledger_entry *first = list_entry(l->entries.next, struct ledger_entry, node);

    return now_ms - en->since_ms > LEDGER_SLOT_MS ||
           en->end - en->start > (en->end - first->start) / LEDGER_SHARE;
}

void ledger_add(struct ledger *l, const struct batch *b, uint64_t now_ms)
{
    struct ledger_entry *en = last_entry(l);

    if (!en || entry_full(l, en, now_ms)) {
        en = xcalloc(1, sizeof *en);
        en->since_ms = now_ms;
        en->start = l->end;
        list_add_tail(&l->entries, &en->node);
    }
    en->end = l->end = b->end;
    en->records += b->records - b->gaps;
    en->gaps += b->gaps;
    en->bytes += b->bytes;
    for (unsigned i = 0; i < b->nranges; i++)
        if (b->ranges[i].cursor)
            entry_add(en, &b->ranges[i]);
}

bool ledger_confirm(struct ledger *l, uint64_t end,
                    void (*confirmed)(struct drain_cursor *c, const struct mark *to),
                    struct drain_counters *counters)
{
    bool any = false;

    while (!list_empty(&l->entries)) {
        struct ledger_entry *en = list_entry(l->entries.next, struct ledger_entry, node);

        if (en->end > end)
            break;
        any = true;
        counters->records_out += en->records;
        counters->gaps += en->gaps;
        counters->bytes_out += en->bytes;
        list_del(&en->node);
        for (uint32_t i = 0; i < en->len; i++) {
            struct drain_cursor *c = en->lines[i].cursor;

            if (!c)
                continue;
            c->inflight--;
            confirmed(c, &en->lines[i].to);
        }
        entry_free(en);
    }
    return any;
}

void ledger_clear(struct ledger *l, uint64_t reached)
{
    while (!list_empty(&l->entries)) {
        struct ledger_entry *en = list_entry(l->entries.next, struct ledger_entry, node);

        for (uint32_t i = 0; i < en->len; i++) {
            struct drain_cursor *c = en->lines[i].cursor;

            if (!c)
                continue;
            c->inflight--;
            if (c->rewound && en->end <= reached)
                c->rewound->reached = en->lines[i].to;
        }
        entry_free(en);
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
        struct ledger_entry *en = list_entry(it, struct ledger_entry, node);

        for (uint32_t i = 0; i < en->len; i++)
            if (en->lines[i].cursor == c)
                en->lines[i].cursor = NULL;
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
        const struct ledger_entry *en = list_entry(it, struct ledger_entry, node);

        if (en->since_ms + LEDGER_SLOT_MS >= ms)
            break;
        end = en->end;
    }
    return end;
}

uint64_t ledger_records(const struct ledger *l)
{
    uint64_t n = 0;

    list_for_each (it, &l->entries) {
        const struct ledger_entry *en = list_entry(it, struct ledger_entry, node);

        n += en->records + en->gaps;
    }
    return n;
}
