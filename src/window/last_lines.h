/*
 * Where the last lines of a log begin, through its rotated and compressed files. It reads files, so
 * it is for a thread that may block, and is given copies. A line that the runtime has cut into
 * pieces (CRI `P`) is one.
 */
#ifndef WINDOW_LAST_LINES_H
#define WINDOW_LAST_LINES_H

#include <stdbool.h>
#include <stdint.h>

#include "streams/segment_id.h"

struct last_segment {
    uint32_t no;
    char *path; /* owned */
    struct segment_id id;
};

struct last_stream {
    uint64_t id;
    struct last_segment *segments; /* owned; oldest first */
    unsigned n;
    /* The answer: segment 0 = no file could be read. */
    uint32_t no;
    uint64_t off;
};

/* Looks for the last <lines> of <s>, from the end of its last file. A file that cannot be read is
 * as far as it looks. */
void last_lines_find(struct last_stream *s, unsigned lines);
void last_stream_release(struct last_stream *s);

#endif
