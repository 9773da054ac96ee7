/*
 * Where cursors stand, as bytes for a file. A record says which stream and which drain by hashes,
 * which file by its identity (so that it is found again after a rename, and not mistaken for
 * another that got its inode), and where in it: no URL, no credential. A slot is one whole
 * set of records with a generation and a checksum, and the names of its streams behind; whoever
 * keeps two of them and writes them in turn always has a good one, whatever write was torn.
 * Little-endian, fixed-size records.
 */
#ifndef STREAMS_STATE_H
#define STREAMS_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "streams/identity.h"
#include "streams/segment_id.h"

#define STATE_VERSION 1
#define STATE_HEADER_SIZE 64
#define STATE_RECORD_SIZE 256

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
    bool skip_line;
    bool cut_short; /* the partial lines have no end, for the file was truncated */
    struct state_partial part[2];
    int64_t seen_ns; /* wall time at which a route last wanted it */
    uint64_t lost;   /* bytes declared lost of which the drain has not confirmed to know */
    uint64_t held; /* unread bytes behind this file that have no name any more, and so are lost with
                      the process */
};

struct state_slot {
    uint64_t generation;
    int64_t written_ns;           /* wall time */
    struct state_record *records; /* heap; the caller frees it */
    uint32_t len;
    struct str names; /* state_name_add(); when decoded, in the memory of <records> */
};

/* What the streams are called, so that a loss can be said when nothing else is left of one. */
int state_name_add(struct buf *names, const struct identity *id);
/* The next one, as views. False at the end, or where the names are damaged. */
bool state_name_next(struct str *names, struct identity *out);

/* Appends header and records. -1 when <out>'s cap does not allow it. */
int state_encode(struct buf *out, const struct state_slot *s);
/* 0 with <s> filled in; -1 when it is empty, torn or damaged (e->code EBADMSG) or of a newer
 * version (EPROTONOSUPPORT). Never reads beyond <data>; bytes after the last record are ignored. */
int state_decode(struct str data, struct state_slot *s, struct err *e);

#endif
