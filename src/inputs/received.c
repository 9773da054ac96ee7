/* See received.h. */
#include "inputs/received.h"

#include <stdlib.h>

#include "base/mem.h"

void received_init(struct received *h, size_t bytes_max, size_t records_max)
{
    *h = (struct received){.max = records_max};
    buf_init(&h->bytes, bytes_max);
}

void received_release(struct received *h)
{
    buf_release(&h->bytes);
    free(h->records);
    h->records = NULL;
    h->n = h->cap = h->used = 0;
    received_drop_entries(h);
}

void received_drop_entries(struct received *h)
{
    free(h->entries);
    h->entries = NULL;
    h->entries_cap = 0;
}

void received_clear(struct received *h)
{
    buf_clear(&h->bytes);
    h->n = h->used = 0;
}

int received_keep(struct received *h, struct str s, struct received_span *out)
{
    *out = (struct received_span){(uint32_t)h->bytes.len, (uint32_t)s.len};
    return buf_add_str(&h->bytes, s);
}

struct str received_text(const struct received *h, struct received_span s)
{
    return s.len ? str_make(h->bytes.p + s.at, s.len) : STR("");
}

int received_add(struct received *h, const struct received_record *r)
{
    if (h->n == h->max)
        return -1;
    if (h->n == h->cap) {
        h->cap = h->cap ? 2 * h->cap : 4;
        h->records = xrealloc(h->records, h->cap * sizeof(*h->records));
    }
    h->records[h->n++] = *r;
    h->used = h->bytes.len;
    return 0;
}

void received_forget(struct received *h)
{
    buf_truncate(&h->bytes, h->used);
}

size_t received_cost(const struct received *h)
{
    return h->bytes.cap + h->cap * sizeof(*h->records) + h->entries_cap * sizeof(*h->entries);
}

const struct journal_entry *received_entries(struct received *h, struct str sender, struct str sd)
{
    struct journal_entry *e = h->entries;

    if (h->n > h->entries_cap) {
        free(e);
        e = h->entries = xcalloc(h->n, sizeof(*e));
        h->entries_cap = h->n;
    }
    for (size_t i = 0; i < h->n; i++) {
        const struct received_record *r = &h->records[i];

        e[i] = (struct journal_entry){
            .hostname = received_text(h, r->hostname),
            .sender = sender,
            .time = received_text(h, r->time),
            .syslog = {.tag = received_text(h, r->tag),
                       .procid = received_text(h, r->procid),
                       .msgid = received_text(h, r->msgid),
                       .sd = r->sd.len ? received_text(h, r->sd) : sd,
                       .pri = r->pri},
            .msg = received_text(h, r->msg),
            .cut = r->cut,
        };
    }
    return e;
}
