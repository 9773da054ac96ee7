/*
 * record → bytes. A formatter belongs to one cursor. The parts that do not change from line to line
 * are laid out once, so that a line costs a few copies. Output goes straight into the batch.
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
    FORMAT_ELASTIC,
    FORMAT_LOKI,
    FORMAT_DATADOG,
    FORMAT_NEWRELIC,
    FORMAT_SPLUNK,
    FORMAT_OTLP, /* protobuf */
    FORMAT_OTLP_JSON
};

enum framing {
    FRAMING_NONE = 1, /* one record is one message: a datagram, a request */
    /* LF after each; LF and NUL inside become a space (RFC 6587 §3.4.2). Also for ndjson. */
    FRAMING_LF,
    FRAMING_OCTET, /* "<length> " before each (RFC 6587 §3.4.1, RFC 5425 §4.3) */
    FRAMING_ARRAY, /* "[" before the first, "," between, "]" at the end */
    FRAMING_NUL, /* NUL after each (GELF over TCP); not for formats whose records may contain NUL */
    FRAMING_STREAMS, /* the records of each stream together (FORMAT_LOKI, FORMAT_NEWRELIC, FORMAT_OTLP) */
};

/* Internal, before each frame, for a member that needs it. The place is the id behind a letter ("o"
 * and "e": stdout and stderr, "g": it reports a loss), and the record's time, in seconds since the
 * epoch. */
enum format_prefix {
    PREFIX_NONE = 0,
    PREFIX_ID,    /* "<record id> " */
    PREFIX_PLACE, /* "<letter><record id> <seconds> " */
};

struct format_options {
    enum format format;
    enum framing framing;
    bool events; /* FORMAT_JSON with <sd>: a gap is {"event":"gap", ...}, not a message */
    bool sd;     /* sd=true: namespace, pod, container, node, record id as structured data */
    /* Cut each record's bytes (without framing) to this, at a UTF-8 boundary; 0 = no limit. */
    size_t max;
    enum format_prefix prefix;
    /* FORMAT_ELASTIC: where records go, with %Y, %m and %d of the record's time; empty = the
     * hostname made a legal name. FORMAT_SPLUNK: as it is; empty = the token's. */
    struct str index;
    bool index_namespace; /* ... or, where the hostname is not trusted, logtrain-<namespace> */
    bool index_name;      /* ... or, where patterns match it, identity.name */
    uint32_t labels;      /* FORMAT_LOKI: a bit for each of FORMAT_LABELS; 0 = all but pod */
    struct str group;     /* FORMAT_GELF: `_group`; empty = none */
    /* Of the intakes (intake.c); empty = of what is known of the stream, or none. */
    struct str source;     /* FORMAT_DATADOG, FORMAT_SPLUNK */
    struct str sourcetype; /* FORMAT_SPLUNK */
    struct str service;    /* FORMAT_DATADOG, FORMAT_NEWRELIC, FORMAT_OTLP, FORMAT_OTLP_JSON */
    struct str tags;       /* FORMAT_DATADOG: "key:value,…", added to ours */
    /* FORMAT_RAW, FORMAT_RFC5424, FORMAT_OTLP: replace invalid UTF-8 by U+FFFD, with this scratch buffer of
     * the caller; NULL = bytes are sent as they are. */
    struct buf *valid;
};

struct formatter;
/* Copies its arguments. */
struct formatter *formatter_create(const struct format_options *o, const struct identity *id);
void formatter_free(struct formatter *f);

/* Appends one record with its framing. <now> is the time text (RFC 3339, from clock_format())
 * used when the record has none. -1 when it exceeds <out>'s cap; <out> is then unchanged. *cut
 * (may be NULL) tells whether `max` cut it. A record with RECORD_CUT has a mark at the end of
 * its message. */
int formatter_add(const struct formatter *f, struct buf *out, const struct record *r,
                  struct str now, bool *cut);
/* Appends what a payload that groups records by stream has before the first and after the last
 * record of a range, which is one stream's turn in a batch. */
int formatter_begin_range(const struct formatter *f, struct buf *out);
int formatter_end_range(const struct formatter *f, struct buf *out);
/* Ends a batch ("]" for FRAMING_ARRAY, or what a format has there), with any of its formatters. */
int formatter_end(const struct formatter *f, struct buf *out);

/* For a member that sends each record by itself: cut the next word of a prefix, and the next record
 * of FRAMING_OCTET, off <*frames>. A formatter wrote them, so anything else is a bug. */
struct str format_next_word(struct str *frames);
struct str format_next_frame(struct str *frames);

/* "rfc5424", "json", "raw", "gelf", "elastic". FORMAT_NONE when unknown. */
enum format format_parse(struct str s);
const char *format_name(enum format f);
/* Whether a drain's URL may ask for it: some are for one kind of receiver alone. */
bool format_is_offered(enum format f);
/* The Content-Type of such a body: "application/syslog", "application/json",
 * "application/x-ndjson", "application/x-protobuf", "text/plain". */
const char *format_content_type(enum format f, enum framing framing);

/* True when <s> is a legal index for FORMAT_ELASTIC. It may contain %Y, %m and %d. */
bool format_index_valid(struct str s);

/* What can be a label, in the order of the bits of format_options.labels. */
#define FORMAT_LABELS "namespace|workload|pod|container|node"

/* Appends <s> as a quoted JSON string, with U+FFFD for invalid UTF-8. -1: no room. */
int format_json_string(struct buf *out, struct str s);

bool format_is_utf8(struct str s);
/* Appends <s>, with U+FFFD for invalid UTF-8. */
int format_add_utf8(struct buf *out, struct str s);

#endif
