/*
 * A buffer into a gzip member of its own. One struct gzip serves one caller after another: zlib's
 * 256 KiB of state are made with the first buffer and reset for the next ones.
 */
#ifndef DRAINS_GZIP_H
#define DRAINS_GZIP_H

#include "base/buf.h"
#include "base/err.h"

struct gzip;

/* No work and no zlib state until it is used. */
struct gzip *gzip_create(void);
/* NULL is fine. */
void gzip_free(struct gzip *g);
/* Replaces <out>'s bytes by the compressed <in>. -1 with <e> set when <out>'s cap or memory does
 * not allow it. */
int gzip_pack(struct gzip *g, struct str in, struct buf *out, struct err *e);

#endif
