/*
 * The format on disk. A slot is one whole set of records (streams/state_record.h: where cursors
 * stand) and of lines for the streams that were found and have no record, with a generation and a
 * checksum, and the names of its streams behind. Two of them are written in turn (dir.h), so that
 * one is good whatever write was torn. Little-endian, fixed-size records.
 *
 * No decision hangs on a wall clock: a stream that a slot does not know appeared after it was
 * written, whatever the file's birth time says.
 */
#ifndef STATE_SLOT_H
#define STATE_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "streams/identity.h"
#include "streams/state_record.h"

#define STATE_VERSION 2 /* 1 is read, too */
#define STATE_HEADER_SIZE 64
#define STATE_RECORD_SIZE 256
#define STATE_STREAM_SIZE 64

/* Where a drain begins that has no record of a stream. */
enum state_begin {
    STATE_BEGIN_LATER = 1, /* routes that were there when the stream was found have their records:
                              another came later, and begins at the end */
    STATE_BEGIN_FIRST,     /* ... they may not have: at the stream's first byte */
    STATE_BEGIN_AT,        /* ... at <off> of <id>, where it ended when it was found */
};

/* A stream that was found. */
struct state_stream {
    uint64_t stream;
    enum state_begin begin;
    struct segment_id id; /* its last file, or with STATE_BEGIN_AT that one; no prefix */
    uint64_t off;
    uint64_t away_ms; /* for so long nothing was seen of it, of the time that a daemon ran */
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
    struct str names; /* state_name_add(); the same */
};

/* A check value: shows whether two keys are the same, and nothing else of the key. */
uint64_t state_key_check(const uint64_t key[2]);

/* The names of streams, so that a loss can be reported when nothing else is left of one. */
int state_name_add(struct buf *names, const struct identity *id);
/* The next one, as views. False at the end, or where the names are damaged. */
bool state_name_next(struct str *names, struct identity *out);

/* Appends the slot. -1 when <out>'s cap does not allow it. */
int state_slot_encode(struct buf *out, const struct state_slot *s);
/* 0 with <s> filled in; -1 when it is empty, torn or damaged (e->code EBADMSG) or of a newer
 * version (EPROTONOSUPPORT), which only a header without damage is believed. Version 1 knew no
 * streams beside its records, no key_check, and no time away. Never reads beyond <data>; bytes
 * after the names are ignored. */
int state_slot_decode(struct str data, struct state_slot *s, struct err *e);

#endif
