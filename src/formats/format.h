/*
 * record → bytes. A formatter belongs to one cursor: all that does not change from line to line is
 * laid out once, so that a line costs a few copies. Output goes straight into the batch.
 */
#ifndef FORMATS_FORMAT_H
#define FORMATS_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "streams/decode.h"
#include "streams/identity.h"

enum format {
    FORMAT_NONE = 0,
    FORMAT_RFC5424,
    FORMAT_JSON,
    FORMAT_RAW,
    FORMAT_GELF,
    FORMAT_ELASTIC
};

enum framing {
    FRAMING_NONE = 1, /* one record is one message: a datagram, a request */
    FRAMING_LF, /* LF after each; LF and NUL inside become a space (RFC 6587 §3.4.2). ndjson is this
                   too */
    FRAMING_OCTET, /* "<length> " before each (RFC 6587 §3.4.1, RFC 5425 §4.3) */
    FRAMING_ARRAY, /* "[" before the first, "," between, "]" at the end */
    FRAMING_NUL,   /* NUL after each (GELF over TCP); formats that may hold one themselves must not
                      be framed so */
};

struct format_options {
    enum format format;
    enum framing framing;
    bool sd;    /* sd=true: namespace, pod, container, node, record id as structured data */
    size_t max; /* cut each record's bytes (framing not counted) to so many, at a UTF-8 boundary; 0
                   = no limit */
    bool id_first;    /* "<record id> " before each frame, between us and a member that needs it */
    struct str index; /* FORMAT_ELASTIC: where records go, with %Y, %m and %d of the record's time;
                         empty = the hostname made a legal name */
    bool index_namespace; /* ... or, where the hostname is anybody's word, logtrain-<namespace> */
    bool index_name;      /* ... or, where that is matched by patterns, identity.name */
    struct str group;     /* FORMAT_GELF: `_group`; empty = none */
    struct buf *valid; /* FORMAT_RAW, FORMAT_RFC5424: U+FFFD takes the place of what is not UTF-8,
                          for which this is scratch, the caller's; NULL = bytes go as they are */
};

struct formatter;
/* Copies what it needs of <o> and <id>. */
struct formatter *formatter_create(const struct format_options *o, const struct identity *id);
void formatter_free(struct formatter *f);

/* Appends one record, framing included. <now> is the time text (RFC 3339, as clock_format() gives
 * it) used when the record has none. -1 when <out>'s cap does not allow it; <out> is then as
 * before. *cut (may be NULL) becomes whether `max` cut it. A record with RECORD_CUT says so at the
 * end of its message. */
int formatter_add(const struct formatter *f, struct buf *out, const struct record *r,
                  struct str now, bool *cut);
/* Ends a batch ("]" for FRAMING_ARRAY; nothing otherwise). */
int formatter_end(const struct formatter *f, struct buf *out);

/* "rfc5424", "json", "raw", "gelf", "elastic". FORMAT_NONE when unknown. */
enum format format_parse(struct str s);
const char *format_name(enum format f);
/* Whether a drain's URL may ask for it: some are for one kind of receiver alone. */
bool format_is_offered(enum format f);
/* What HTTP says of such a body: "application/syslog", "application/json", "application/x-ndjson",
 * "text/plain". */
const char *format_content_type(enum format f, enum framing framing);

/* Whether <s> can be the index of a FORMAT_ELASTIC: a legal name, in which %Y, %m and %d may stand.
 */
bool format_index_valid(struct str s);

/* Appends <s> as a JSON string, quotes included, U+FFFD for what is not UTF-8. -1: no room. */
int format_json_string(struct buf *out, struct str s);

bool format_is_utf8(struct str s);
/* Appends <s>, U+FFFD for what is not UTF-8. */
int format_add_utf8(struct buf *out, struct str s);

#endif
