/*
 * See namespaces.h. Places change hands seldom: a namespace takes another's when it has had twice as
 * much of late. "Of late" is a sum that loses an eighth with each report.
 */
#include "report/namespaces.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "drains/core/worker.h"

void namespaces_init(struct namespaces *ns)
{
    *ns = (struct namespaces){.nplaced = 0};
    map_init(&ns->all);
}

void namespaces_release(struct namespaces *ns)
{
    struct namespace_bytes *b;
    size_t i = 0;

    while ((b = map_next(&ns->all, &i)))
        free(b);
    map_release(&ns->all);
}

/* The one with the least of late, of those that have a place or of those that have none. */
static struct namespace_bytes *least(const struct namespaces *ns, bool placed)
{
    struct namespace_bytes *b, *found = NULL;
    size_t i = 0;

    while ((b = map_next(&ns->all, &i)))
        if (b->placed == placed && (!found || b->recent < found->recent))
            found = b;
    return found;
}

static struct namespace_bytes *of(struct namespaces *ns, const char *name)
{
    struct namespace_bytes *b = map_get(&ns->all, str_of(name));
    size_t size = strlen(name) + 1;

    if (b)
        return b;
    if (ns->all.len >= READ_TALLIES_MAX) {
        b = least(ns, false);
        (void)map_del(&ns->all, str_of(b->name));
        free(b);
    }
    b = xcalloc(1, sizeof(*b) + size);
    memcpy(b->name, name, size);
    (void)map_put(&ns->all, str_of(b->name), b);
    return b;
}

static void seek_place(struct namespaces *ns, struct namespace_bytes *b)
{
    struct namespace_bytes *loser = NULL;

    if (b->placed)
        return;
    if (ns->nplaced == METRICS_NAMESPACES_MAX) {
        loser = least(ns, true);
        if (b->recent / 2 <= loser->recent)
            return;
        loser->placed = false;
        ns->nplaced--;
    }
    b->placed = true;
    ns->nplaced++;
}

void namespaces_add(struct namespaces *ns, const struct worker_report *r)
{
    struct namespace_bytes *b;
    size_t k = 0;

    while ((b = map_next(&ns->all, &k)))
        b->recent -= b->recent / 8;
    for (unsigned i = 0; i < r->nread; i++) {
        const struct read_report *read = &r->read[i];

        b = of(ns, *read->namespace ? read->namespace : NAMESPACES_NONE);
        b->recent += read->bytes;
        seek_place(ns, b);
        *(b->placed ? &b->bytes : &ns->others) += read->bytes;
    }
    ns->others += r->read_others;
}
