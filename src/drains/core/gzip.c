/*
 * See gzip.h. Uses the fastest level: it already shrinks log lines to a tenth, and the next levels
 * cost several times the CPU for a few percent more.
 */
#include "drains/core/gzip.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#define ZLIB_CONST
#include <zlib.h>

#include "base/mem.h"

#define GZIP_LEVEL Z_BEST_SPEED
#define GZIP_WINDOW (15 + 16) /* 32 KiB window; + 16 asks zlib for a gzip header and trailer */
#define GZIP_MEMORY 8

struct gzip {
    z_stream z;
    bool ready; /* z is initialised */
};

struct gzip *gzip_create(void)
{
    return xcalloc(1, sizeof(struct gzip));
}

void gzip_free(struct gzip *g)
{
    if (g && g->ready)
        (void)deflateEnd(
            &g->z); /* its result only says whether output was pending, and that is dropped */
    free(g);
}

static int prepare(struct gzip *g)
{
    if (g->ready)
        return deflateReset(&g->z);
    if (deflateInit2(&g->z, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return Z_MEM_ERROR;
    g->ready = true;
    return Z_OK;
}

int gzip_pack(struct gzip *g, struct str in, struct buf *out, struct err *e)
{
    uLong bound;

    buf_clear(out);
    if (in.len > UINT_MAX / 2)
        return err_set(e, E2BIG, "gzip: %zu bytes exceed the limit", in.len);
    if (prepare(g) != Z_OK)
        return err_set(e, ENOMEM, "gzip: out of memory");
    bound = deflateBound(&g->z, (uLong)in.len);
    if (buf_reserve(out, bound) < 0)
        return err_set(e, ENOMEM, "gzip: the compressed bytes exceed the limit");
    g->z.next_in = (const Bytef *)in.p;
    g->z.avail_in = (uInt)in.len;
    g->z.next_out = (Bytef *)out->p;
    g->z.avail_out = (uInt)bound;
    if (deflate(&g->z, Z_FINISH) != Z_STREAM_END)
        BUG("gzip: deflateBound() was too small for %zu bytes", in.len);
    out->len = g->z.total_out;
    out->p[out->len] = '\0';
    return 0;
}
