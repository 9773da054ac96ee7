/*
 * The result of one listing of a stream's sources. Between containers_look.c, which produces it,
 * and containers_scan.c, which compares it with what is known.
 */
#ifndef INPUTS_CONTAINERS_LOOK_H
#define INPUTS_CONTAINERS_LOOK_H

#include "inputs/containers_internal.h"
#include "streams/sibling.h"

struct file {
    char *path;
    size_t stem;      /* of path: without the suffix of a rotation */
    const char *base; /* the live one's name, of the source; NULL in a container's directory */
    struct segment_id id;
    struct origin_segment *known; /* NULL = unknown */
    struct sibling as;            /* by its name; a known file may have any */
    uint32_t restart;
    int64_t mtime_ns;
};

struct look {
    struct file *files;
    size_t n, cap;
    int error;    /* errno of a failed read */
    bool nowhere; /* a link in the container's directory leads nowhere */
    bool raced;   /* a name disappeared meanwhile: its file may be missing here */
    bool alive;   /* a file or the container's directory exists */
    bool looked;
    bool again; /* the look before did not fit */
    bool first; /* nothing was known of it before */
};

/* Lists all files of <st>. May add and remove its sources. */
void look_well(struct look *k, struct cstream *st);
void look_release(struct look *k);
/* True when <seg>'s file is among them. */
bool look_has(const struct look *k, const struct origin_segment *seg);

#endif
