/*
 * One line of a log file → one record (docs/formats.md#cri, #docker). Nothing is copied: the
 * record's views point into the line, or into <scratch> when a JSON string had escapes. Bytes pass
 * unchanged: NUL, ESC, invalid UTF-8.
 */
#ifndef STREAMS_DECODE_H
#define STREAMS_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

enum record_fd { RECORD_STDOUT = 0, RECORD_STDERR = 1 };

enum record_flags {
    RECORD_PARTIAL = 1 << 0, /* continues in the next record of the same fd (`P`, or no \n) */
    RECORD_RAW = 1 << 1,     /* neither CRI nor docker JSON: msg is the whole line, time is empty */
    RECORD_CUT = 1 << 2,     /* was longer than MAX_LINE, or its end is missing */
    RECORD_GAP = 1 << 3,     /* not a line of the file: reports a loss (stream.h, struct gap) */
};

/* In the flags, too: the severity that the line gives itself (sieve/level.h), when that is asked for.
 * 0 = not known. */
#define RECORD_LEVEL_SHIFT 8
#define RECORD_LEVEL(severity) ((1U + (unsigned)(severity)) << RECORD_LEVEL_SHIFT)

/* Fields of a network record besides time and message. Views; empty = not given. */
struct record_syslog {
    struct str tag; /* replaces the identity's */
    struct str procid;
    struct str msgid;
    struct str sd;     /* structured data as on the wire, "[id a=\"b\"][…]", checked on receipt */
    unsigned char pri; /* facility * 8 + severity, at most 191 */
};

struct gap;

struct record {
    struct str time; /* RFC 3339 as the runtime wrote it, checked; 0-9 fraction digits; `Z` or an
                        offset; empty = unknown */
    struct str msg;
    enum record_fd fd;
    unsigned flags;
    uint64_t segment;      /* segment_id_hash(): with <offset>, the record's id across restarts */
    uint64_t offset;       /* of its first byte in the segment */
    const struct gap *gap; /* RECORD_GAP: what was lost; may be NULL */
    const struct record_syslog *syslog; /* received on a network input; NULL = a line of a file */
};

/* A file of CODEC_JOURNAL contains length-prefixed records (journal_record.h), not lines. The lines
 * of one of CODEC_PLAIN are in no runtime's format, whatever they look like. */
enum codec { CODEC_UNKNOWN = 0, CODEC_CRI, CODEC_DOCKER, CODEC_PLAIN, CODEC_JOURNAL };

/* <line> without its LF. Tries <hint> first, then the other; a line of neither form, and each of a
 * plain file, becomes a RAW record. Returns the codec, or CODEC_UNKNOWN for RAW. Sets time, msg, fd, flags. <scratch> is
 * cleared when used. */
enum codec decode_line(enum codec hint, struct str line, struct record *r, struct buf *scratch);

/* The single decoders; false = not of this form, *r undefined. The cap of <scratch> must allow a
 * whole line. A JSON line is docker's when it has a `log` or a `time`; when it has keys that docker
 * does not write, it needs both. */
bool decode_cri(struct str line, struct record *r);
bool decode_docker(struct str line, struct record *r, struct buf *scratch);

/* "2026-11-20T10:15:00[.123…](Z|±hh:mm)": every digit in range (month 1-12, a day that the month
 * has, hour < 24, second <= 60). */
bool decode_time_valid(struct str s);
/* The same for what follows the second: "[.123…](Z|±hh:mm)". */
bool decode_time_end_valid(struct str s);

#endif
