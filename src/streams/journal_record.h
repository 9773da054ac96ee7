/*
 * A record as it lies in a journal: its length, a checksum, what syslog knows of it, and the
 * message, byte for byte. Little-endian; the reader skips what it does not need without looking for
 * an end of line, and whoever opens a journal after a crash can tell a record that was written
 * whole from one that was not.
 *
 *    0  u32  length of all of it, this included
 *    4  u32  check: hash of all that follows; 0 in memory, where nobody looks at it
 *    8  u16  magic
 *   10  u8   kind
 *   11  u8   flags
 *   12  u8   pri
 *   13  u8   length of the time
 *   14  u8   ... of PROCID
 *   15  u8   ... of MSGID
 *   16  u16  ... of the tag
 *   18  u16  ... of the structured data
 *   20       time, tag, PROCID, MSGID, structured data, message
 *
 * The first record of each segment is a head: its message is the hostname; its tag names the inputs
 * that were trusted to name workloads by it (INPUT_OWNERS), if it was one of them that was received,
 * and its structured data whose the name was (identity.tenant), if that was known.
 */
#ifndef STREAMS_JOURNAL_RECORD_H
#define STREAMS_JOURNAL_RECORD_H

#include "streams/decode.h"

#define JOURNAL_HEADER 20

/* What an input hands over. Views; the receiver copies. */
struct journal_entry {
    struct str hostname; /* decides which journal it goes to; not kept with each record */
    struct str sender;   /* the peer's address, whose share it counts to; empty = nobody's */
    struct str time;     /* RFC 3339, decode_time_valid(); empty = the time of the hand-over */
    struct record_syslog syslog;
    struct str msg;
    bool cut; /* the message was longer than MAX_LINE, or structured data too long to be kept */
};

/* Bytes that <e> takes, after its fields were cut to what fits: time is dropped when longer than an
 * RFC 3339 time can be, structured data above JOURNAL_SD_MAX too (half of it would be none). */
size_t journal_record_size(const struct journal_entry *e);
/* Writes so many bytes. Without <check> the record has no checksum: it is not going to leave this
 * process's memory. */
void journal_record_put(char *out, const struct journal_entry *e, bool check);
struct journal_head {
    struct str hostname, trusted, tenant;
};
size_t journal_head_size(const struct journal_head *h);
void journal_head_put(char *out, const struct journal_head *h);

enum journal_got {
    JOURNAL_GOT = 1,  /* a record: *r (views into <bytes>; its syslog is <s>), *len its length */
    JOURNAL_GOT_HEAD, /* the head: r->msg, s->tag and s->sd are its parts */
    JOURNAL_SHORT,    /* <bytes> ends inside it: *len is how many are needed, as far as known */
    JOURNAL_DAMAGED,  /* it is no record, or, with <verify>, not as it was written */
};
/* Looks at the record that <bytes> begin with. <most>: longer ones are none. Without <verify> no
 * length is trusted, but the checksum is not looked at, and that the time is one is believed. */
enum journal_got journal_record_get(struct str bytes, size_t most, bool verify, struct record *r,
                                    struct record_syslog *s, size_t *len);
/* How many of <bytes> are whole, undamaged records, counted from the first byte; *records is their
 * number, the head included. */
size_t journal_valid_len(struct str bytes, size_t most, size_t *records);

#endif
