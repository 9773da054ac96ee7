/* See inflate.h. */
#include "inputs/inflate.h"

#include "base/limits.h"

#define PIECE (32 * 1024)
#define GZIP_ONLY (15 + 16) /* zlib's window bits: the largest window, and a gzip header */

int inflater_open(struct inflater *f)
{
    *f = (struct inflater){.open = false};
    f->open = inflateInit2(&f->z, GZIP_ONLY) == Z_OK;
    return f->open ? 0 : -1;
}

static bool too_large(const struct inflater *f)
{
    return f->out > HTTP_BODY_MAX || (f->out > HTTP_RATIO_FREE && f->out > f->in * HTTP_RATIO_MAX);
}

enum inflated inflater_feed(struct inflater *f, struct str piece,
                            bool (*take)(void *arg, struct str piece), void *arg)
{
    unsigned char out[PIECE];
    size_t got;
    int rc;

    f->in += piece.len;
    f->z.next_in = (unsigned char *)(uintptr_t)piece.p; /* zlib only reads it */
    f->z.avail_in = (uInt)piece.len;
    do {
        if (f->ended && f->z.avail_in && inflateReset(&f->z) != Z_OK)
            return INFLATE_BAD;
        if (f->ended && !f->z.avail_in)
            return INFLATE_OK;
        f->ended = false;
        f->z.next_out = out;
        f->z.avail_out = sizeof(out);
        rc = inflate(&f->z, Z_NO_FLUSH);
        got = sizeof(out) - f->z.avail_out;
        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
            return INFLATE_BAD;
        f->ended = rc == Z_STREAM_END;
        f->out += got;
        if (too_large(f))
            return INFLATE_LARGE;
        if (got && !take(arg, str_make((char *)out, got)))
            return INFLATE_STOP;
    } while (f->z.avail_in || !f->z.avail_out);
    return INFLATE_OK;
}

bool inflater_ended(const struct inflater *f)
{
    return f->ended;
}

void inflater_close(struct inflater *f)
{
    if (f->open)
        (void)inflateEnd(&f->z); /* fails when the body was truncated */
    f->open = false;
}
