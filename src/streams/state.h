/*
 * Where cursors stand and which streams are known, as bytes for a file. A record says which stream
 * and which drain by hashes, which file by its identity (so that it is found again after a rename,
 * and not mistaken for another that got its inode), and where in it: no URL, no credential. A
 * stream without a record has a line of its own when it was found all the same. A slot is one whole
 * set of both with a generation and a checksum, and the names of its streams behind; whoever keeps
 * two of them and writes them in turn always has a good one, whatever write was torn.
 * Little-endian, fixed-size records.
 *
 * No decision hangs on a wall clock: a stream that a slot does not know appeared after it was
 * written, whatever the file's birth time says.
 */
#ifndef STREAMS_STATE_H
#define STREAMS_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "streams/identity.h"
#include "streams/segment_id.h"

#define STATE_VERSION 2 /* 1 is read, too */
#define STATE_HEADER_SIZE 64
#define STATE_RECORD_SIZE 256
#define STATE_STREAM_SIZE 64

/* The start of a line whose end had not come. */
struct state_partial {
    struct segment_id id; /* of the file it starts in; ino 0 = none */
    uint64_t off;
    uint32_t len;
    bool skipping;
};

struct state_record {
    uint64_t stream; /* identity_key() */
    uint64_t drain;  /* hash of the drain's masked URL */
    struct segment_id id;
    uint64_t off;    /* all before it is confirmed; in .gz: of the inflated bytes */
    uint64_t size;   /* of the file when it was last looked at */
    uint64_t marker; /* hash of the <marker_len> bytes before <off> */
    uint32_t marker_len;
    uint32_t restart; /* of the container */
    bool late; /* of what comes to a file that was left; another record says where the stream is */
    bool skip_line;
    bool cut_short; /* the partial lines have no end, for the file was truncated */
    struct state_partial part[2];
    uint64_t away_ms; /* for so long no route has wanted it, of the time that a daemon ran */
    uint64_t lost;    /* bytes declared lost of which the drain has not confirmed to know */
    bool unknown;     /* ... and more, of files that were gone before they could be opened */
    uint64_t place;   /* hash of the drain's scheme, host and path; 0 = not said */
    uint16_t port;
    bool owner;    /* a workload asked for it */
    uint64_t held; /* unread bytes behind this file that have no name any more, and so are lost with
                      the process */
    /* What has not begun anywhere yet. With id.ino 0 there was no file: at the stream's first byte
     */
    bool at_end; /* it begins where the line begins that <off> lies in */
    bool old;    /* it begins with the first line behind <off> that is not older than <since_s>, or
                    with the first behind <since_end> */
    int64_t since_s;
    uint64_t since_end;
};

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

/* Says nothing of the key, but whether another is the same. */
uint64_t state_key_check(const uint64_t key[2]);

/* What the streams are called, so that a loss can be said when nothing else is left of one. */
int state_name_add(struct buf *names, const struct identity *id);
/* The next one, as views. False at the end, or where the names are damaged. */
bool state_name_next(struct str *names, struct identity *out);

/* Appends the slot. -1 when <out>'s cap does not allow it. */
int state_encode(struct buf *out, const struct state_slot *s);
/* 0 with <s> filled in; -1 when it is empty, torn or damaged (e->code EBADMSG) or of a newer
 * version (EPROTONOSUPPORT), which only a header without damage is believed. Version 1 knew no
 * streams beside its records, no key_check, and no time away. Never reads beyond <data>; bytes
 * after the names are ignored. */
int state_decode(struct str data, struct state_slot *s, struct err *e);

#endif
