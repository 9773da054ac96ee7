/*
 * Small allocations of fixed size abort when there is no memory, because no caller could recover.
 * Anything sized by input goes through struct buf, which has a cap and returns an error.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void *xmalloc(size_t n);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t n);

/* For structs that consist of uint64_t only, <size> bytes long: adds each field of <more> to that
 * of <to>. A new counter cannot be forgotten in a sum this way. */
void counters_add(void *to, const void *more, size_t size);

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* A bug of ours, never an input error: prints the place and aborts. */
_Noreturn void bug_at(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
#define BUG(...) bug_at(__FILE__, __LINE__, __VA_ARGS__)

#endif
