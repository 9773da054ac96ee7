/*
 * Small allocations of fixed size abort when there is no memory: no caller can do anything better.
 * Anything sized by input goes through struct buf, which has a cap and returns an error.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void *xmalloc(size_t n);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t n);

/* Of structs of nothing but uint64_t, <size> bytes long: adds each field of <more> to <to>'s, so
 * that a new counter cannot be forgotten where they are summed up. */
void counters_add(void *to, const void *more, size_t size);

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* An error of ours, never of the input: says where and aborts. */
_Noreturn void bug_at(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
#define BUG(...) bug_at(__FILE__, __LINE__, __VA_ARGS__)

#endif
