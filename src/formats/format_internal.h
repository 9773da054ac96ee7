/*
 * Private to src/formats: shared by the encoders. An encoder's add() computes the exact (or the
 * greatest possible) length of its record, reserves it once, and then copies without bounds checks.
 */
#ifndef FORMATS_FORMAT_INTERNAL_H
#define FORMATS_FORMAT_INTERNAL_H

#include "base/mem.h"
#include "formats/format.h"

#define FORMAT_MARK " [logtrain: line cut]"
#define FORMAT_MARK_LEN (sizeof(FORMAT_MARK) - 1)
#define FORMAT_TIME_MIN 20 /* 2026-11-20T10:15:00Z */
#define FORMAT_ID_MAX 33   /* 16 hex digits, "-", up to 16 */

struct formatter {
    int (*add)(const struct formatter *f, struct buf *out, const struct record *r, struct str now,
               bool *cut);
    struct format_options o;
    /* For payloads that group records by stream; NULL = nothing to write. See format.h. */
    int (*begin_range)(const struct formatter *f, struct buf *out);
    int (*end_range)(const struct formatter *f, struct buf *out);
    int (*end)(const struct formatter *f, struct buf *out);
    bool bytes;   /* it writes a message's bytes as they are */
    bool network; /* of a network stream: every record has a struct record_syslog */
    /* The parts that do not change from record to record; views into text[]. Each encoder documents
     * its own. */
    struct str head;
    struct str mid;
    struct str tail;
    char text[];
};

/* The encoders. lay_out() sets f->add and the views, and writes to f->text. That has
 * FORMAT_TEXT_FIXED bytes, and twelve for each byte of the identity and of the options' texts: each
 * may be there twice. Returns the end of the text. */
#define FORMAT_TEXT_FIXED 1024
char *format_rfc5424_lay_out(struct formatter *f, const struct identity *id);
char *format_json_lay_out(struct formatter *f, const struct identity *id);
char *format_raw_lay_out(struct formatter *f, const struct identity *id);
char *format_gelf_lay_out(struct formatter *f, const struct identity *id);
char *format_elastic_lay_out(struct formatter *f, const struct identity *id);
char *format_loki_lay_out(struct formatter *f, const struct identity *id);
char *format_datadog_lay_out(struct formatter *f, const struct identity *id);
char *format_newrelic_lay_out(struct formatter *f, const struct identity *id);
char *format_splunk_lay_out(struct formatter *f, const struct identity *id);
char *format_otlp_lay_out(struct formatter *f, const struct identity *id);
char *format_otlp_json_lay_out(struct formatter *f, const struct identity *id);

static inline char *format_put(char *d, struct str s)
{
    if (s.len) /* an empty view may be NULL */
        memcpy(d, s.p, s.len);
    return d + s.len;
}

/* ---- text.c ---- */
/* Length of the well-formed UTF-8 sequence at <p>. With *valid false, length of the maximal invalid
 * part (Unicode 15 §3.9) that one U+FFFD replaces. <n> is at least 1. */
size_t format_utf8(const char *p, size_t n, bool *valid);
/* Where to cut <s>, which is longer than <room>: at <room>, or just before a character that would
 * be split. */
size_t format_utf8_cut(struct str s, size_t room);
/* Length of <s> with U+FFFD for invalid UTF-8, and a copy of it. */
size_t format_utf8_len(struct str s);
char *format_put_utf8(char *d, struct str s);
/* Cuts message and mark (its length) to <room>. */
void format_cut_text(struct str *msg, size_t *mark, size_t room);
/* "<segment>-<offset>" in hex; returns its length. */
size_t format_id(char out[FORMAT_ID_MAX], const struct record *r);
/* Copies <s> with LF and NUL replaced by spaces. Returns the end. */
char *format_put_one_line(char *d, struct str s);
/* RFC 5424: a header field, a parameter's value. */
char *format_put_field(char *d, struct str s, size_t max);
char *format_put_value(char *d, struct str s);
/* Copies the inside of a JSON string. Needs the room that format_json_measure() returns, at most 6
 * * s.len. */
char *format_json_put(char *d, struct str s);
/* Cuts message and mark so that an object with <fixed> other bytes is no longer than `max`. Returns
 * their escaped length. */
size_t format_json_fit(const struct formatter *f, struct str *msg, size_t *mark, size_t fixed,
                       bool *cut);
/* gelf.c: whether receivers take <s> for an empty message. */
bool format_is_blank(struct str s);
/* `,"key":"value"`, unless the value is unknown. */
char *format_put_known(char *d, const char *key, struct str value);
/* Escaped length of the longest prefix of <s> that does not exceed <limit>; the prefix' own length
 * in *used. */
size_t format_json_measure(struct str s, size_t limit, size_t *used);

/* The time to write. The encoders rely on it being well-formed. */
static inline struct str format_time(const struct record *r, struct str now)
{
    struct str t = r->time.len ? r->time : now;

    if (t.len < FORMAT_TIME_MIN)
        BUG("formats: '%.*s' is no time", STR_ARG(t));
    return t;
}

/* Length of <t> with at most <digits> digits of the fraction; *body is the length before the
 * zone. */
static inline size_t format_time_len(struct str t, size_t digits, size_t *body)
{
    size_t zone = t.p[t.len - 1] == 'Z' ? 1 : 6;

    *body = t.len - zone;
    if (*body > 20 + digits)
        *body = 20 + digits;
    return *body + zone;
}

static inline char *format_put_time(char *d, struct str t, size_t body, size_t len)
{
    const char *zone = t.p + t.len - (len - body);

    memcpy(d, t.p, 16); /* two copies, because <body> is 19 to 29 */
    memcpy(d + body - 16, t.p + body - 16, 16);
    if (len - body == 1)
        d[body] = *zone;
    else
        memcpy(d + body, zone, 6);
    if (d[17] == '6') { /* a leap second, which neither RFC 5424 nor Go's parser accepts */
        d[17] = '5';
        d[18] = '9';
    }
    return d + len;
}

/* ---- gap_event.c: instead of json's add() for <r>, which has a gap. ---- */
int format_gap_event(const struct formatter *f, struct buf *out, const struct record *r);

/* ---- received.c: records of network inputs (r->syslog) ---- */
/* `,"<prefix>procid":"…"` and so on, for each of tag (when <tag>), procid, msgid and structured
 * data that is present. */
size_t format_received_len(const struct record *r, bool tag, const char *prefix);
char *format_received_put(char *d, const struct record *r, bool tag, const char *prefix);
/* The add() of rfc5424 for such a record. f->head is " HOST ". */
int format_rfc5424_received(const struct formatter *f, struct buf *out, const struct record *r,
                            struct str now, bool *cut);

static inline unsigned format_severity(const struct record *r)
{
    unsigned level = r->flags >> RECORD_LEVEL_SHIFT;

    if (level)
        return (level - 1) & 7;
    return r->syslog ? r->syslog->pri & 7 : r->fd == RECORD_STDERR ? 3 : 6;
}

/* "emergency" … "debug" */
static inline const char *format_severity_name(const struct record *r)
{
    static const char *const names[] = {"emergency", "alert",  "critical", "error",
                                        "warning",   "notice", "info",     "debug"};

    return names[format_severity(r)];
}

/* Seconds since the epoch of a well-formed time. */
int64_t format_epoch(struct str t);
/* The same as digits; returns how many. *fraction becomes the digits of <t> behind the point, at
 * most 9. A time before the epoch is at it. */
#define FORMAT_EPOCH_MAX 20
size_t format_put_epoch(char out[FORMAT_EPOCH_MAX], struct str t, struct str *fraction);
/* Nanoseconds since the epoch: 0 before it, UINT64_MAX where they are too many (after 2554). */
uint64_t format_ns(struct str t);
/* Its date in UTC, as "YYYYMMDD". */
void format_utc_date(char out[8], struct str t);

static inline size_t format_digits(size_t n)
{
    size_t digits = 1;

    while (n >= 10) {
        n /= 10;
        digits++;
    }
    return digits;
}

/* Bytes of framing around a record of <len>. */
static inline size_t format_frame_len(const struct formatter *f, size_t len)
{
    if (f->o.framing == FRAMING_OCTET)
        return format_digits(len) + 1;
    return f->o.framing != FRAMING_NONE;
}

/* Writes the framing before a record of <len>. Returns where the record goes. The room is
 * reserved. */
static inline char *format_frame_begin(const struct formatter *f, const struct buf *out, size_t len)
{
    char *d = out->p + out->len;

    if (f->o.framing == FRAMING_OCTET) {
        size_t digits = format_digits(len);

        for (size_t i = digits; i > 0; i--) {
            d[i - 1] = (char)('0' + len % 10);
            len /= 10;
        }
        d += digits;
        *d++ = ' ';
    } else if (f->o.framing == FRAMING_ARRAY) {
        *d++ = out->len ? ',' : '[';
    }
    return d;
}

/* Ends the record at <d>. */
static inline void format_frame_end(const struct formatter *f, struct buf *out, char *d)
{
    if (f->o.framing == FRAMING_LF)
        *d++ = '\n';
    else if (f->o.framing == FRAMING_NUL)
        *d++ = '\0';
    *d = '\0';
    out->len = (size_t)(d - out->p);
}

#endif
