/*
 * A gzip body, inflated as it comes, within limits that are looked at before anything is kept:
 * HTTP_BODY_MAX at all, and HTTP_RATIO_MAX times its size above HTTP_RATIO_FREE bytes. Several
 * members one after the other are one body (RFC 1952 §2.2).
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
    bool ended; /* a member has, and nothing came since */
    uint64_t in, out;
};

enum inflated {
    INFLATE_OK = 0,
    INFLATE_BAD,   /* it is not gzip */
    INFLATE_LARGE, /* it would be more than the limits allow */
    INFLATE_STOP,  /* <take> said so */
};

/* -1: no memory. */
int inflater_open(struct inflater *f);
/* Hands over what <piece> inflates to, in pieces. <take> returns false to stop. */
enum inflated inflater_feed(struct inflater *f, struct str piece,
                            bool (*take)(void *arg, struct str piece), void *arg);
/* Whether the body may end here. */
bool inflater_ended(const struct inflater *f);
void inflater_close(struct inflater *f);

#endif
