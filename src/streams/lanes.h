/*
 * Eight bytes at a time: a lane is one byte of a 64-bit word, lane 0 first in memory. For the decoders
 * (decode_*).
 */
#ifndef STREAMS_LANES_H
#define STREAMS_LANES_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define LANES(a, b, c, d, e, f, g, h)                                                              \
    ((uint64_t)(a) | (uint64_t)(b) << 8 | (uint64_t)(c) << 16 | (uint64_t)(d) << 24 |              \
     (uint64_t)(e) << 32 | (uint64_t)(f) << 40 | (uint64_t)(g) << 48 | (uint64_t)(h) << 56)
#define EVERY_LANE(byte) (0x0101010101010101u * (uint64_t)(byte))
#define HIGH_BITS EVERY_LANE(0x80)

static inline uint64_t load64(const char *p)
{
    uint64_t w;

    memcpy(&w, p, sizeof(w));
    return le64toh(w);
}

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') <= 9;
}

#endif
