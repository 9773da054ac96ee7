/*
 * The saved state of a cursor: its stream and drain, by hashes; its file, by identity, so that it
 * is found again after a rename and not confused with another that reuses its inode; and the place
 * in it. No URL, no credential. cursor_save() fills one in, cursor_resume() continues from one;
 * state/slot.h writes them to a file.
 */
#ifndef STREAMS_STATE_RECORD_H
#define STREAMS_STATE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "streams/segment_id.h"

/* The start of a line whose end was missing. */
struct state_partial {
    struct segment_id id; /* of the file it starts in; ino 0 = none */
    uint64_t off;
    uint32_t len;
    bool skipping;
};

/* A file that some cursor of its stream had not read to its end. Those of a stream form a list, in
 * order of reading. */
struct state_file {
    uint64_t stream; /* identity_key() */
    uint32_t list;   /* number of its list: several workers may know the stream; 0 = not set yet */
    uint32_t no;     /* of the segment, in the run that made the list */
    struct segment_id id;
    uint64_t size; /* at least; of the inflated bytes */
};

struct state_files {
    struct state_file *at; /* heap */
    uint32_t len, cap;
};

struct state_record {
    uint64_t stream; /* identity_key() */
    uint64_t drain;  /* hash of the drain's masked URL */
    struct segment_id id;
    uint64_t off;    /* all before it is confirmed; in .gz: of the inflated bytes */
    uint64_t size;   /* of the file at the last look */
    uint64_t marker; /* hash of the <marker_len> bytes before <off> */
    uint32_t marker_len;
    uint32_t restart; /* of the container */
    bool late;        /* of a late cursor; another record has the stream's place */
    bool skip_line;
    bool cut_short; /* the partial lines have no end, because the file was truncated */
    struct state_partial part[2];
    uint64_t away_ms; /* time without a route, while a daemon ran */
    uint64_t lost;    /* bytes declared lost whose gap record the drain has not confirmed */
    bool unknown;     /* ... and more, of files that were gone before they could be opened */
    uint64_t place;   /* hash of the drain's scheme, host and path; 0 = unknown */
    uint16_t port;
    bool owner; /* a workload asked for it */
    uint64_t
        pinned; /* unread bytes after this file without a name, which are lost with the process */
    uint64_t behind; /* ... and those with a name, at least: lost if all the files are deleted */
    /* A cursor that has not begun. With id.ino 0 there was no file: at the stream's first byte */
    bool at_end; /* it begins at the start of the line that contains <off> */
    /* It begins with the first line after <off> that is not older than <since_s>, or with the
     * first after <since_end>. */
    bool old;
    int64_t since_s;
    uint64_t since_end;
    /* The files of its stream. Not in the record on disk; borrowed, as long as the process runs. */
    const struct state_file *files;
    uint32_t nfiles;
};

/* Unread bytes of its file. */
static inline uint64_t state_record_rest(const struct state_record *r)
{
    return r->size > r->off ? r->size - r->off : 0;
}

/* Bytes before its place that are not sent, because the end of their line is missing. */
static inline uint64_t state_record_partial(const struct state_record *r)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < 2; i++)
        bytes += r->part[i].skipping ? 0 : r->part[i].len;
    return bytes;
}

/* What is lost, at least, if all files of its stream are deleted. */
static inline uint64_t state_record_unread(const struct state_record *r)
{
    return state_record_rest(r) + state_record_partial(r) + r->lost + r->pinned + r->behind;
}

#endif
