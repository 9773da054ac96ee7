/*
 * How much was read of each namespace's logs since the control thread last asked. A stream counts
 * its own bytes; they are added up here when somebody asks, when its identity changes, and when it
 * is forgotten. So a line costs one addition, and nothing is counted twice.
 */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "drains/core/worker_internal.h"

struct tally {
    uint64_t bytes;
    size_t len;
    char namespace[];
};

void read_tally_add(struct worker *wk, struct stream *s)
{
    struct str name = s->identity->namespace;
    struct tally *t = map_get(&wk->read_by, name);

    if (!s->bytes_read)
        return;
    if (!t && wk->read_by.len >= READ_TALLIES_MAX) {
        wk->read_by_others += s->bytes_read;
    } else {
        if (!t) {
            t = xcalloc(1, sizeof(*t) + name.len);
            t->len = name.len;
            if (name.len)
                memcpy(t->namespace, name.p, name.len);
            (void)map_put(&wk->read_by, str_make(t->namespace, t->len), t);
        }
        t->bytes += s->bytes_read;
    }
    s->bytes_read = 0;
}

static void clear(struct worker *wk)
{
    struct tally *t;
    size_t i = 0;

    while ((t = map_next(&wk->read_by, &i)))
        free(t);
    map_release(&wk->read_by);
    map_init(&wk->read_by);
}

void read_tally_take(struct worker *wk, struct worker_report *r)
{
    struct stream *s;
    struct tally *t;
    size_t i = 0;

    while ((s = map_next(&wk->streams, &i)))
        read_tally_add(wk, s);
    r->read = xcalloc(wk->read_by.len + 1, sizeof(*r->read));
    for (i = 0; (t = map_next(&wk->read_by, &i));)
        r->read[r->nread++] =
            (struct read_report){str_dup(str_make(t->namespace, t->len)), t->bytes};
    r->read_others = wk->read_by_others;
    wk->read_by_others = 0;
    clear(wk);
}

void read_tally_release(struct worker *wk)
{
    clear(wk);
    map_release(&wk->read_by);
}
