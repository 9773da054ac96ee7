/*
 * What one look at a stream's sources has found. Between containers_look.c, which looks, and
 * containers_scan.c, which compares it with what is known.
 */
#ifndef INPUTS_CONTAINERS_LOOK_H
#define INPUTS_CONTAINERS_LOOK_H

#include "inputs/containers_internal.h"
#include "streams/sibling.h"

struct file {
    char *path;
    size_t stem; /* of path: without what a rotation puts behind the name */
    struct segment_id id;
    struct origin_segment *known; /* NULL = unknown */
    struct sibling as;            /* as what its name has it; a known one may have any */
    uint32_t restart;
};

struct look {
    struct file *files;
    size_t n, cap;
    int error;  /* errno: something could not be read */
    bool raced; /* a name went while we looked: what it became may not be among the files */
    bool alive; /* something was there: a file, or the container's directory */
    bool looked;
    bool first; /* nothing was known of it before */
};

/* Everything that there is of <st>, as far as one can know; sources of it may come and go. */
void look_well(struct look *k, struct cstream *st);
void look_release(struct look *k);
/* Is <seg>'s file among them? */
bool look_has(const struct look *k, const struct origin_segment *seg);

#endif
