/*
 * A record as stored in a journal: its length, a checksum, the syslog fields, and the message, byte
 * for byte. Little-endian. The reader skips what it does not need without searching for an end of
 * line, and after a crash a complete record can be distinguished from a torn one.
 *
 *    0  u32  length of all of it, this included
 *    4  u32  check: hash of all that follows; 0 in memory, where it is not checked
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
 * The first record of each segment is a head: its message is the hostname. If an input received it
 * that is trusted to name workloads (INPUT_OWNERS), its tag has the names of the trusted inputs,
 * and its structured data the owner of the name (identity.tenant), if known.
 */
#ifndef STREAMS_JOURNAL_RECORD_H
#define STREAMS_JOURNAL_RECORD_H

#include "streams/decode.h"

#define JOURNAL_HEADER 20

/* A record from an input. Views; the receiver copies. */
struct journal_entry {
    struct str hostname; /* selects the journal; not stored with each record */
    struct str sender;   /* the peer's address, for its share; empty = none */
    bool forgeable;      /* ... nobody has checked that it is the peer's (UDP) */
    struct str time;     /* RFC 3339, decode_time_valid(); empty = the present */
    struct record_syslog syslog;
    struct str msg;
    bool cut; /* the message was longer than MAX_LINE, or structured data too long to be kept */
};

/* Size of <e> after its fields were cut: a time longer than RFC 3339 allows is dropped, and so is
 * structured data above JOURNAL_SD_MAX (half of it would be invalid). */
size_t journal_record_size(const struct journal_entry *e);
/* Writes that many bytes. Without <check> the record has no checksum: it stays in this process's
 * memory. */
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
    JOURNAL_DAMAGED,  /* not a record, or, with <verify>, modified */
};
/* Parses the record at the start of <bytes>. <most>: longer ones are invalid. Without <verify>
 * lengths are still checked, but the checksum is not, and the time is trusted. */
enum journal_got journal_record_get(struct str bytes, size_t most, bool verify, struct record *r,
                                    struct record_syslog *s, size_t *len);
/* Length of the complete, undamaged records at the start of <bytes>; *records is their number, the
 * head included. */
size_t journal_valid_len(struct str bytes, size_t most, size_t *records);

#endif
