/*
 * otlp: the body of a request to an OpenTelemetry receiver, an ExportLogsServiceRequest in protobuf
 * (docs/formats.md#otlp). otlp_json.c writes the same as JSON.
 *
 *   ExportLogsServiceRequest
 *    └ 1 ResourceLogs, one for each range     length: patched at the range's end
 *       ├ 1 Resource                          what is known of the stream
 *       └ 2 ScopeLogs                         length: patched at the range's end
 *          ├ 1 InstrumentationScope           "logtrain"
 *          └ 2 LogRecord, one for each record
 *
 * It is written without a library: a record's lengths are known before it is written, so nothing is
 * built in memory first. The two lengths that are not are written with four bytes, which every
 * decoder of varints takes, and are zero while the range is open: that is how its end finds it.
 *
 * View: head = a range's beginning, up to the first record.
 */
#include <endian.h>

#include "formats/format_internal.h"
#include "formats/otlp.h"

#define KEY(field, type) ((char)((field) << 3 | (type)))
#define VARINT 0
#define FIXED64 1
#define BYTES 2

#define PATCHED 4               /* bytes of a length that is patched */
#define PATCHED_MAX (1UL << 28) /* what it can say */
#define OPEN (1 + PATCHED)      /* the key and the length of a message whose length is patched */
#define SCOPE STR("\x0a\x0a\x0a\x08logtrain")
#define RECORD_FIXED (9 + 2 + 9) /* both times, the severity's number */
#define LENGTHS_MAX (3 * 5)      /* of the record, its body and the body's string */

/* ---- writing protobuf ---- */

static size_t varint_len(size_t n)
{
    size_t len = 1;

    for (; n >= 0x80; n >>= 7)
        len++;
    return len;
}

static char *put_varint(char *d, size_t n)
{
    for (; n >= 0x80; n >>= 7)
        *d++ = (char)(n | 0x80);
    *d++ = (char)n;
    return d;
}

/* A field of <len> bytes. */
static size_t field_len(size_t len)
{
    return 1 + varint_len(len) + len;
}

static char *put_open(char *d, unsigned field, size_t len)
{
    *d++ = KEY(field, BYTES);
    return put_varint(d, len);
}

static char *put_fixed64(char *d, unsigned field, uint64_t n)
{
    uint64_t le = htole64(n);

    *d++ = KEY(field, FIXED64);
    memcpy(d, &le, sizeof(le));
    return d + sizeof(le);
}

static void patch(char *d, size_t n)
{
    if (n >= PATCHED_MAX)
        BUG("formats: a message of %zu bytes", n);
    for (size_t i = 0; i < PATCHED; i++, n >>= 7)
        d[i] = (char)((n & 0x7f) | (i < PATCHED - 1 ? 0x80 : 0));
}

static size_t patched(const char *d)
{
    size_t n = 0;

    for (size_t i = 0; i < PATCHED; i++)
        n |= (size_t)(d[i] & 0x7f) << 7 * i;
    return n;
}

/* A KeyValue with a string, without the key and length of its own. */
static size_t attribute_len(const struct otlp_attribute *a)
{
    return field_len(a->key.len) + field_len(field_len(a->len));
}

static char *put_attribute(char *d, unsigned field, const struct otlp_attribute *a)
{
    d = put_open(d, field, attribute_len(a));
    d = put_open(d, 1, a->key.len);
    d = format_put(d, a->key);
    d = put_open(d, 2, field_len(a->len));
    d = put_open(d, 1, a->len);
    return format_put_utf8(d, a->value);
}

static size_t attributes_len(const struct otlp_attribute *a, size_t n)
{
    size_t len = 0;

    while (n--)
        len += field_len(attribute_len(a++));
    return len;
}

/* ---- ranges ---- */

static int begin_range(const struct formatter *f, struct buf *out)
{
    if (buf_reserve(out, OPEN + f->head.len) < 0)
        return -1;
    out->p[out->len] = KEY(1, BYTES);
    patch(out->p + out->len + 1, 0);
    out->len += OPEN;
    return buf_add_str(out, f->head);
}

/* The last ResourceLogs is the one whose length is not known yet. */
static int end_range(const struct formatter *f, struct buf *out)
{
    char *all = out->p;
    size_t at = 0, len, scope;

    while ((len = patched(all + at + 1)) > 0)
        at += OPEN + len;
    scope = at + OPEN + f->head.len - SCOPE.len;
    patch(all + at + 1, out->len - at - OPEN);
    patch(all + scope - PATCHED, out->len - scope);
    return 0;
}

/* ---- records ---- */

static int otlp_add(const struct formatter *f, struct buf *out, const struct record *r,
                    struct str now, bool *cut)
{
    struct otlp_attribute attributes[OTLP_ATTRIBUTES_MAX];
    char id[FORMAT_ID_MAX], *d;
    size_t n = otlp_attributes(f, r, attributes, id), own = attributes_len(attributes, n), body,
           len;
    size_t mark = r->flags & RECORD_CUT ? FORMAT_MARK_LEN : 0, fixed;
    struct str severity = str_of(format_severity_name(r)), msg = r->msg;

    fixed = RECORD_FIXED + field_len(severity.len) + own + 2 + LENGTHS_MAX;
    if (f->o.max && fixed + msg.len + mark > f->o.max) {
        *cut = true;
        format_cut_text(&msg, &mark, f->o.max > fixed ? f->o.max - fixed : 0);
    }
    body = field_len(msg.len + mark);
    len = RECORD_FIXED + field_len(severity.len) + field_len(body) + own;
    if (buf_reserve(out, field_len(len)) < 0)
        return -1;
    d = put_open(out->p + out->len, 2, len);
    d = put_fixed64(d, 1, r->time.len ? format_ns(r->time) : 0);
    *d++ = KEY(2, VARINT);
    *d++ = (char)otlp_severity(r);
    d = put_open(d, 3, severity.len);
    d = format_put(d, severity);
    d = put_open(d, 5, body);
    d = put_open(d, 1, msg.len + mark);
    d = format_put(d, msg);
    d = format_put(d, str_make(FORMAT_MARK, mark));
    for (size_t i = 0; i < n; i++)
        d = put_attribute(d, 6, &attributes[i]);
    d = put_fixed64(d, 11, format_ns(now));
    format_frame_end(f, out, d);
    return 0;
}

char *format_otlp_lay_out(struct formatter *f, const struct identity *id)
{
    struct otlp_attribute known[OTLP_RESOURCE_MAX];
    size_t n = otlp_resource(f, id, known);
    char *d = put_open(f->text, 1, attributes_len(known, n));

    f->add = otlp_add;
    f->begin_range = begin_range;
    f->end_range = end_range;
    for (size_t i = 0; i < n; i++)
        d = put_attribute(d, 1, &known[i]);
    *d++ = KEY(2, BYTES);
    patch(d, 0);
    d = format_put(d + PATCHED, SCOPE);
    f->head = str_make(f->text, (size_t)(d - f->text));
    return d;
}
