/* See arena.h. Blocks are a stack: a rewind frees those on top, but never the last one. */
#include "inputs/arena.h"

#include <stdint.h>
#include <stdlib.h>

#define BLOCK (32 * 1024)
#define ALIGN _Alignof(max_align_t)

static size_t align(size_t n)
{
    return (n + ALIGN - 1) & ~(ALIGN - 1);
}

#define HEAD align(sizeof(struct arena_block))

static void *hook_alloc(void *arg, size_t n)
{
    return arena_alloc(arg, n);
}

static void hook_free(void *arg, void *p)
{
    (void)arg, (void)p; /* freed with the arena */
}

void arena_init(struct arena *a, size_t max)
{
    *a = (struct arena){.allocator = {hook_alloc, hook_free, a}, .max = max};
}

static void drop(struct arena *a)
{
    struct arena_block *b = a->blocks;

    a->blocks = b->next;
    a->held -= b->size;
    free(b);
}

void arena_release(struct arena *a)
{
    while (a->blocks)
        drop(a);
}

static struct arena_block *add_block(struct arena *a, size_t room)
{
    size_t size = HEAD + (room > BLOCK ? room : BLOCK);
    struct arena_block *b;

    if (size > a->max - a->held)
        return NULL;
    b = malloc(size);
    if (!b)
        return NULL;
    *b = (struct arena_block){a->blocks, size, HEAD};
    a->blocks = b;
    a->held += size;
    return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
    struct arena_block *b = a->blocks;
    void *p;

    if (n > a->max) {
        a->failed = true;
        return NULL;
    }
    n = align(n ? n : 1);
    if ((!b || n > b->size - b->used) && !(b = add_block(a, n))) {
        a->failed = true;
        return NULL;
    }
    p = (char *)b + b->used;
    b->used += n;
    return p;
}

struct arena_mark arena_mark(const struct arena *a)
{
    return (struct arena_mark){a->blocks, a->blocks ? a->blocks->used : 0};
}

void arena_rewind(struct arena *a, struct arena_mark m)
{
    a->failed = false;
    while (a->blocks && a->blocks != m.block && (m.block || a->blocks->next))
        drop(a);
    if (a->blocks)
        a->blocks->used = m.block ? m.used : HEAD;
}
