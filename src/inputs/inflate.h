/*
 * Inflates a gzip body as it arrives, within limits that are checked before anything is kept:
 * HTTP_BODY_MAX in total, and HTTP_RATIO_MAX times its size above HTTP_RATIO_FREE bytes. Several
 * members in sequence are one body (RFC 1952 §2.2).
 */
#ifndef INPUTS_INFLATE_H
#define INPUTS_INFLATE_H

#include <stdbool.h>
#include <stdint.h>
#include <zlib.h>

#include "base/str.h"

struct inflater {
    z_stream z;
    bool open;
    bool ended; /* a member ended, and nothing followed yet */
    uint64_t in, out;
};

enum inflated {
    INFLATE_OK = 0,
    INFLATE_BAD,   /* not gzip */
    INFLATE_LARGE, /* exceeds the limits */
    INFLATE_STOP,  /* <take> returned false */
};

/* -1: no memory. */
int inflater_open(struct inflater *f);
/* Passes the inflated bytes of <piece> to <take>, in pieces. <take> returns false to stop. */
enum inflated inflater_feed(struct inflater *f, struct str piece,
                            bool (*take)(void *arg, struct str piece), void *arg);
/* True when the body may end here. */
bool inflater_ended(const struct inflater *f);
void inflater_close(struct inflater *f);

#endif
