/*
 * The rows that notifications named and that are still to be read. A row that changes often is
 * stored several times, until room is needed or the rows are taken: then duplicates are removed. So
 * adding one costs only its sixteen bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "datasources/postgres_internal.h"

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct pg_id));
}

/* Removes duplicates. */
static void shrink(struct pg_pending *p)
{
    unsigned n = 0;

    qsort(p->ids, p->len, sizeof(p->ids[0]), compare_ids);
    for (unsigned i = 0; i < p->len; i++)
        if (n == 0 || compare_ids(&p->ids[n - 1], &p->ids[i]) != 0)
            p->ids[n++] = p->ids[i];
    p->len = n;
}

bool pg_pending_add(struct pg_pending *p, const struct pg_id *ids, unsigned n)
{
    if (p->len + n > PG_PENDING_MAX) {
        shrink(p);
        if (p->len > PG_PENDING_MAX / 2) /* it would be sorted again too soon */
            return false;
    }
    memcpy(p->ids + p->len, ids, n * sizeof(ids[0]));
    p->len += n;
    return true;
}

unsigned pg_pending_take(struct pg_pending *p, struct pg_id out[PG_BATCH_MAX])
{
    unsigned n;

    shrink(p);
    n = p->len < PG_BATCH_MAX ? p->len : PG_BATCH_MAX;
    p->len -= n;
    memcpy(out, p->ids + p->len, n * sizeof(out[0]));
    return n;
}
