/* See heard.h. */
#include "inputs/heard.h"

#include <stdlib.h>

#include "base/mem.h"

void heard_init(struct heard *h, size_t bytes_max, size_t records_max)
{
    *h = (struct heard){.max = records_max};
    buf_init(&h->bytes, bytes_max);
}

void heard_release(struct heard *h)
{
    buf_release(&h->bytes);
    free(h->records);
    h->records = NULL;
    h->n = h->cap = h->used = 0;
    heard_drop_entries(h);
}

void heard_drop_entries(struct heard *h)
{
    free(h->entries);
    h->entries = NULL;
    h->entries_cap = 0;
}

void heard_clear(struct heard *h)
{
    buf_clear(&h->bytes);
    h->n = h->used = 0;
}

int heard_keep(struct heard *h, struct str s, struct heard_span *out)
{
    *out = (struct heard_span){(uint32_t)h->bytes.len, (uint32_t)s.len};
    return buf_add_str(&h->bytes, s);
}

struct str heard_text(const struct heard *h, struct heard_span s)
{
    return s.len ? str_make(h->bytes.p + s.at, s.len) : STR("");
}

int heard_add(struct heard *h, const struct heard_record *r)
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

void heard_forget(struct heard *h)
{
    buf_truncate(&h->bytes, h->used);
}

size_t heard_cost(const struct heard *h)
{
    return h->bytes.cap + h->cap * sizeof(*h->records) + h->entries_cap * sizeof(*h->entries);
}

const struct journal_entry *heard_entries(struct heard *h, struct str sender, struct str sd)
{
    struct journal_entry *e = h->entries;

    if (h->n > h->entries_cap) {
        free(e);
        e = h->entries = xcalloc(h->n, sizeof(*e));
        h->entries_cap = h->n;
    }
    for (size_t i = 0; i < h->n; i++) {
        const struct heard_record *r = &h->records[i];

        e[i] = (struct journal_entry){
            .hostname = heard_text(h, r->hostname),
            .sender = sender,
            .time = heard_text(h, r->time),
            .syslog = {.tag = heard_text(h, r->tag),
                       .procid = heard_text(h, r->procid),
                       .msgid = heard_text(h, r->msgid),
                       .sd = r->sd.len ? heard_text(h, r->sd) : sd,
                       .pri = r->pri},
            .msg = heard_text(h, r->msg),
            .cut = r->cut,
        };
    }
    return e;
}
