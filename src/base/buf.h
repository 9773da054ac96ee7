/*
 * struct buf: an owned, growing byte buffer with a cap that is fixed at init. Once anything was
 * added, p[len] is NUL, so that text can be passed to C functions. The bytes themselves may contain
 * NUL.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"

struct buf {
    char *p; /* owned; NULL until the first byte */
    size_t len;
    size_t cap; /* allocated, not counting the NUL */
    size_t max; /* the cap; may be lowered */
};

#define BUF_INIT(limit) ((struct buf){NULL, 0, 0, (limit)})

void buf_init(struct buf *b, size_t max);
void buf_release(struct buf *b);
/* Makes room for <n> more bytes. -1 when that exceeds the cap or memory is short; nothing changes
 * then. */
int buf_grow(struct buf *b, size_t n);
int buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_vaddf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* Drops the first <n> bytes. */
void buf_consume(struct buf *b, size_t n);
/* Frees the unused capacity. */
void buf_shrink(struct buf *b);

static inline int buf_reserve(struct buf *b, size_t n)
{
    return n <= b->cap - b->len && b->p ? 0 : buf_grow(b, n);
}

static inline int buf_add(struct buf *b, const void *p, size_t n)
{
    if (buf_reserve(b, n) < 0)
        return -1;
    if (n)
        memcpy(b->p + b->len, p, n);
    b->len += n;
    b->p[b->len] = '\0';
    return 0;
}

static inline int buf_add_str(struct buf *b, struct str s)
{
    return buf_add(b, s.p, s.len);
}

static inline int buf_add_ch(struct buf *b, char c)
{
    return buf_add(b, &c, 1);
}

static inline void buf_clear(struct buf *b)
{
    b->len = 0;
    if (b->p)
        b->p[0] = '\0';
}

/* Keeps the first <n> bytes. <n> must not exceed the length. */
static inline void buf_truncate(struct buf *b, size_t n)
{
    b->len = n;
    if (b->p)
        b->p[n] = '\0';
}

static inline struct str buf_str(const struct buf *b)
{
    return str_make(b->p ? b->p : "", b->len);
}

/* As a C string; "" when empty. */
static inline const char *buf_cstr(const struct buf *b)
{
    return b->p ? b->p : "";
}

#endif
