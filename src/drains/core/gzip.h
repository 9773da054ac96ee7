/*
 * Compresses a buffer into one complete gzip member. One struct gzip serves many callers in turn:
 * zlib's state of 256 KiB is allocated for the first buffer and reset for the next ones.
 */
#ifndef DRAINS_GZIP_H
#define DRAINS_GZIP_H

#include "base/buf.h"
#include "base/err.h"

struct gzip;

/* Allocates no zlib state before the first use. */
struct gzip *gzip_create(void);
/* NULL is fine. */
void gzip_free(struct gzip *g);
/* Replaces the bytes of <out> by the compressed <in>. -1 with <e> set when the cap of <out> or the
 * memory does not suffice. */
int gzip_pack(struct gzip *g, struct str in, struct buf *out, struct err *e);

#endif
