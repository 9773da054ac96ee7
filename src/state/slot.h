/*
 * The format on disk. A slot is a complete set of records (streams/state_record.h: positions of
 * cursors), of lines for known streams that have no record, and of lines for files with unread
 * bytes, with a generation number, a checksum, and the names of its streams at the end. Two slots are written in turn (dir.h), so that
 * one is good whichever write was torn. Little-endian, fixed-size records.
 *
 * No decision depends on a wall clock: a stream that a slot does not list appeared after it was
 * written, whatever the file's birth time is.
 */
#ifndef STATE_SLOT_H
#define STATE_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "streams/identity.h"
#include "streams/state_record.h"

#define STATE_VERSION 2 /* version 1 can be read too */
#define STATE_HEADER_SIZE 64
#define STATE_RECORD_SIZE 256
#define STATE_STREAM_SIZE 64

/* Where a drain without a record of the stream starts. */
enum state_begin {
    /* All routes that existed when the stream was found have their records: a later one starts
     * at the end. */
    STATE_BEGIN_LATER = 1,
    STATE_BEGIN_FIRST, /* ... some may have none: at the stream's first byte */
    STATE_BEGIN_AT,    /* ... at <off> of <id>, the end of the stream when it was found */
};

/* A stream that was found. */
struct state_stream {
    uint64_t stream;
    enum state_begin begin;
    struct segment_id id; /* its last file; with STATE_BEGIN_AT the file of <off>; no prefix */
    uint64_t off;
    uint64_t away_ms; /* time in which a daemon ran and did not find it */
};

struct state_slot {
    uint32_t version; /* set by decoding */
    uint64_t generation;
    int64_t written_ns;           /* wall time, for people */
    uint64_t key_check;           /* state_key_check() of the key that <drain> is hashed with */
    struct state_record *records; /* heap; the caller frees it */
    uint32_t len;
    struct state_stream *streams; /* when decoded, in the memory of <records> */
    uint32_t nstreams;
    struct state_file *files; /* in the same memory */
    uint32_t nfiles;
    struct str names; /* from state_name_add(); in the same memory */
};

/* A check value: shows whether two keys are equal, and reveals nothing else about them. */
uint64_t state_key_check(const uint64_t key[2]);

/* Adds a stream's name, so that a loss can be reported when nothing else is left of it. */
int state_name_add(struct buf *names, const struct identity *id);
/* The next one, as views. False at the end. */
bool state_name_next(struct str *names, struct identity *out);

/* Appends the slot. -1 when <out>'s cap does not allow it. */
int state_slot_encode(struct buf *out, const struct state_slot *s);
/* 0 with <s> filled in. -1 when the slot is empty, torn or damaged (e->code EBADMSG), or of a newer
 * version (EPROTONOSUPPORT; only an undamaged header is believed). Version 1 had no streams beside
 * its records, no key_check and no away time. Never reads beyond <data>; bytes after the names are
 * ignored. */
int state_slot_decode(struct str data, struct state_slot *s, struct err *e);

#endif
