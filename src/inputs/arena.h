/*
 * Memory for a message that is unpacked and discarded as a whole. Allocation moves a pointer,
 * freeing does nothing, and there is a limit. For protobuf-c, whose structures take many times the
 * bytes that they come from.
 */
#ifndef INPUTS_ARENA_H
#define INPUTS_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

struct arena_block {
    struct arena_block *next;
    size_t size;
    size_t used;
};

struct arena {
    ProtobufCAllocator allocator; /* the allocator to pass to protobuf-c */
    struct arena_block *blocks;   /* the first block in use */
    size_t held;                  /* bytes of all blocks */
    size_t max;
    bool failed; /* the limit was reached since the last rewind */
};

void arena_init(struct arena *a, size_t max);
void arena_release(struct arena *a);
/* NULL: the limit is reached. */
void *arena_alloc(struct arena *a, size_t n);
/* Saves the position, and frees everything allocated since. */
struct arena_mark {
    struct arena_block *block;
    size_t used;
};
struct arena_mark arena_mark(const struct arena *a);
void arena_rewind(struct arena *a, struct arena_mark m);

#endif
