/*
 * The slow half of struct buf: growth and formatted text. The capacity doubles up to the cap, so
 * that appending takes linear time in total. A failed call leaves length and bytes unchanged.
 */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

#define FIRST_CAP 63 /* with the NUL, one small malloc bin */

void buf_init(struct buf *b, size_t max)
{
    *b = BUF_INIT(max);
}

void buf_release(struct buf *b)
{
    free(b->p);
    *b = BUF_INIT(b->max);
}

int buf_grow(struct buf *b, size_t n)
{
    size_t need, cap;
    char *p;

    if (b->len > b->max || n > b->max - b->len)
        return -1;
    need = b->len + n;
    if (b->p && need <= b->cap)
        return 0;
    cap = b->cap < FIRST_CAP ? FIRST_CAP : b->cap > b->max / 2 ? b->max : b->cap * 2;
    if (cap < need)
        cap = need;
    if (cap > b->max)
        cap = b->max;
    if (cap == SIZE_MAX)
        return -1;
    p = realloc(b->p, cap + 1);
    if (!p)
        return -1;
    b->p = p;
    b->cap = cap;
    b->p[b->len] = '\0';
    return 0;
}

int buf_vaddf(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    int n;

    if (buf_reserve(b, 0) < 0)
        return -1;
    va_copy(again, ap);
    n = vsnprintf(b->p + b->len, b->cap - b->len + 1, fmt, ap);
    if (n >= 0 && (size_t)n > b->cap - b->len) {
        b->p[b->len] = '\0'; /* removes the truncated text */
        if (buf_grow(b, (size_t)n) < 0)
            n = -1;
        else
            n = vsnprintf(b->p + b->len, b->cap - b->len + 1, fmt, again);
    }
    va_end(again);
    if (n < 0)
        return -1;
    b->len += (size_t)n;
    return 0;
}

int buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    int rc;

    va_start(ap, fmt);
    rc = buf_vaddf(b, fmt, ap);
    va_end(ap);
    return rc;
}

void buf_consume(struct buf *b, size_t n)
{
    if (n > b->len)
        BUG("buf: %zu bytes consumed of %zu", n, b->len);
    if (n == 0)
        return;
    memmove(b->p, b->p + n, b->len - n);
    b->len -= n;
    b->p[b->len] = '\0';
}

void buf_shrink(struct buf *b)
{
    char *p;

    if (!b->len) {
        buf_release(b);
        return;
    }
    p = realloc(b->p, b->len + 1);
    if (p) {
        b->p = p;
        b->cap = b->len;
    }
}
