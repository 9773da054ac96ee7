/*
 * Allocation that cannot fail, and the abort for our own bugs. Memory whose size an input decides
 * belongs in a struct buf.
 */
#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

void *xmalloc(size_t n)
{
    void *p = malloc(n ? n : 1);

    if (!p)
        BUG("out of memory: %zu bytes", n);
    return p;
}

void *xcalloc(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size ? size : 1);

    if (!p)
        BUG("out of memory: %zu times %zu bytes", count, size);
    return p;
}

void *xrealloc(void *p, size_t n)
{
    void *q = realloc(p, n ? n : 1);

    if (!q)
        BUG("out of memory: %zu bytes", n);
    return q;
}

void bug_at(const char *file, int line, const char *fmt, ...)
{
    char text[512];
    const char *slash = strrchr(file, '/');
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap); /* cut when too long: the process ends here */
    va_end(ap);
    log_error("bug", KV_CSTR("file", slash ? slash + 1 : file), KV_INT("line", line),
              KV_CSTR("what", text));
    abort();
}

void counters_add(void *to, const void *more, size_t size)
{
    uint64_t *sum = to;
    const uint64_t *add = more;

    for (size_t i = 0; i < size / sizeof(*sum); i++)
        sum[i] += add[i];
}
