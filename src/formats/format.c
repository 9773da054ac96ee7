/*
 * The frame around the encoders: creating a formatter, and the names of formats. The drains call it
 * for every line. It appends to a buffer and keeps no state between records. The byte work that the
 * encoders share is in text.c.
 */
#include "formats/format.h"

#include <stdlib.h>

#include "base/limits.h"
#include "formats/format_internal.h"

#define FIELD_MAX                                                                                  \
    1024 /* bytes of one identity field; more is cut. Names in Kubernetes end at 253 */

#define SYSLOG "application/syslog"
#define JSON "application/json"
#define NDJSON "application/x-ndjson"
#define PROTOBUF "application/x-protobuf"

static const struct format_row {
    enum format format;
    bool offered; /* by format= */
    bool bytes;   /* it writes a message's bytes as they are; others make their own texts valid */
    const char *name;
    char *(*lay_out)(struct formatter *f, const struct identity *id);
    const char *type;    /* of a body, for HTTP ... */
    const char *type_lf; /* ... and of one with a line for each record */
} formats[] = {
    {FORMAT_RFC5424, true, true, "rfc5424", format_rfc5424_lay_out, SYSLOG, SYSLOG},
    {FORMAT_JSON, true, false, "json", format_json_lay_out, JSON, NDJSON},
    {FORMAT_RAW, true, true, "raw", format_raw_lay_out, "text/plain", "text/plain"},
    {FORMAT_GELF, true, false, "gelf", format_gelf_lay_out, JSON, NDJSON},
    {FORMAT_ELASTIC, false, false, "elastic", format_elastic_lay_out, NDJSON, NDJSON},
    {FORMAT_LOKI, false, false, "loki", format_loki_lay_out, JSON, JSON},
    {FORMAT_DATADOG, false, false, "datadog", format_datadog_lay_out, JSON, JSON},
    {FORMAT_NEWRELIC, false, false, "newrelic", format_newrelic_lay_out, JSON, JSON},
    {FORMAT_SPLUNK, false, false, "splunk", format_splunk_lay_out, JSON, JSON},
    {FORMAT_OTLP, false, true, "otlp", format_otlp_lay_out, PROTOBUF, PROTOBUF},
    {FORMAT_OTLP_JSON, false, false, "otlp-json", format_otlp_json_lay_out, JSON, JSON},
};

static const struct format_row *row_of(enum format f)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        if (formats[i].format == f)
            return &formats[i];
    }
    return NULL;
}

static struct str field(struct str s, size_t *sum)
{
    if (s.len > FIELD_MAX)
        s.len = format_utf8_cut(s, FIELD_MAX);
    *sum += s.len;
    return s;
}

static struct formatter *create_sized(const struct format_options *o, const struct identity *id,
                                      size_t room, size_t *used)
{
    struct formatter *f = xcalloc(1, sizeof(*f) + room);
    const struct format_row *row = row_of(o->format);

    if (!row)
        BUG("formats: %d is no format", (int)o->format);
    f->o = *o;
    f->network = id->network;
    f->bytes = row->bytes;
    *used = (size_t)(row->lay_out(f, id) - f->text);
    /* copied; the caller's bytes may be freed */
    f->o.index = f->o.group = f->o.source = (struct str){NULL, 0};
    f->o.sourcetype = f->o.service = f->o.tags = (struct str){NULL, 0};
    return f;
}

struct formatter *formatter_create(const struct format_options *o, const struct identity *id)
{
    size_t sum = 0, used = 0;
    struct identity fields = {
        .hostname = field(id->hostname, &sum),
        .tag = field(id->tag, &sum),
        .name = field(id->name, &sum),
        .namespace = field(id->namespace, &sum),
        .pod = field(id->pod, &sum),
        .uid = field(id->uid, &sum),
        .container = field(id->container, &sum),
        .node = field(id->node, &sum),
        .service = field(id->service, &sum),
        .network = id->network,
    };

    /* Runs once to measure, then writes into memory of that size: there is a formatter for every
     * cursor. */
    sum += o->index.len + o->group.len + o->source.len + o->sourcetype.len + o->service.len +
           o->tags.len;
    formatter_free(create_sized(o, &fields, FORMAT_TEXT_FIXED + 12 * sum, &used));
    return create_sized(o, &fields, used, &used);
}

void formatter_free(struct formatter *f)
{
    free(f);
}

static size_t put_place(char *out, const struct record *r, struct str now)
{
    struct str fraction;
    size_t n = 0;

    out[n++] = r->flags & RECORD_GAP ? 'g' : r->fd == RECORD_STDERR ? 'e' : 'o';
    n += format_id(out + n, r);
    out[n++] = ' ';
    return n + format_put_epoch(out + n, format_time(r, now), &fraction);
}

/* A function of its own, so that a record without a prefix does not pay for the array. */
__attribute__((noinline)) static int add_prefixed(const struct formatter *f, struct buf *out,
                                                  const struct record *r, struct str now, bool *cut)
{
    char prefix[FORMAT_ID_MAX + FORMAT_EPOCH_MAX + 3];
    size_t n, before = out->len;

    n = f->o.prefix == PREFIX_ID ? format_id(prefix, r) : put_place(prefix, r, now);
    prefix[n++] = ' ';
    if (buf_add(out, prefix, n) < 0)
        return -1;
    if (f->add(f, out, r, now, cut) == 0)
        return 0;
    out->len = before;
    return -1;
}

static inline int add_frame(const struct formatter *f, struct buf *out, const struct record *r,
                            struct str now, bool *cut)
{
    return f->o.prefix == PREFIX_NONE ? f->add(f, out, r, now, cut)
                                      : add_prefixed(f, out, r, now, cut);
}

/* Replaces invalid UTF-8 in <r>, in the scratch buffer. */
static int add_valid(const struct formatter *f, struct buf *out, const struct record *r,
                     struct str now, bool *cut)
{
    struct buf *valid = f->o.valid;
    struct record fixed = *r;
    struct record_syslog received;
    size_t msg_len;
    int rc = -1;

    buf_clear(valid);
    if (format_add_utf8(valid, r->msg) < 0)
        return -1;
    msg_len = valid->len;
    if (r->syslog && format_add_utf8(valid, r->syslog->sd) < 0)
        return -1;
    fixed.msg = str_head(buf_str(valid), msg_len);
    if (r->syslog) {
        received = *r->syslog;
        received.sd = str_skip(buf_str(valid), msg_len);
        fixed.syslog = &received;
    }
    rc = add_frame(f, out, &fixed, now, cut);
    if (valid->cap > SCRATCH_KEPT)
        buf_release(valid);
    return rc;
}

static bool must_be_valid(const struct formatter *f, const struct record *r)
{
    return f->o.valid && f->bytes &&
           (!format_is_utf8(r->msg) || (r->syslog && !format_is_utf8(r->syslog->sd)));
}

int formatter_add(const struct formatter *f, struct buf *out, const struct record *r,
                  struct str now, bool *cut)
{
    static const struct record_syslog own = {.pri = 1 << 3 | 3}; /* user.err */
    struct record ours;
    bool ignored;

    if (f->network && !r->syslog) { /* no sender: a gap record of ours */
        ours = *r;
        ours.syslog = &own;
        r = &ours;
    }
    cut = cut ? cut : &ignored;
    *cut = false;
    if (must_be_valid(f, r))
        return add_valid(f, out, r, now, cut);
    return add_frame(f, out, r, now, cut);
}

int formatter_begin_range(const struct formatter *f, struct buf *out)
{
    return f->begin_range ? f->begin_range(f, out) : 0;
}

int formatter_end_range(const struct formatter *f, struct buf *out)
{
    return f->end_range ? f->end_range(f, out) : 0;
}

int formatter_end(const struct formatter *f, struct buf *out)
{
    if (f->end)
        return f->end(f, out);
    if (f->o.framing != FRAMING_ARRAY)
        return 0;
    return out->len ? buf_add_ch(out, ']') : buf_add_str(out, STR("[]"));
}

struct str format_next_word(struct str *frames)
{
    const char *end = memchr(frames->p, ' ', frames->len);
    struct str word;

    if (!end)
        BUG("format: a batch without frames");
    word = str_make(frames->p, (size_t)(end - frames->p));
    *frames = str_skip(*frames, word.len + 1);
    return word;
}

struct str format_next_frame(struct str *frames)
{
    const char *p = frames->p, *end = p + frames->len;
    struct str frame;
    size_t n = 0;

    for (; p < end && *p != ' '; p++)
        n = n * 10 + (size_t)(*p - '0');
    if (p == end || n > (size_t)(end - p - 1))
        BUG("format: a frame beyond its batch");
    frame = str_make(p + 1, n);
    *frames = str_make(p + 1 + n, (size_t)(end - p - 1) - n);
    return frame;
}

enum format format_parse(struct str s)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        if (str_eq(s, str_of(formats[i].name)))
            return formats[i].format;
    }
    return FORMAT_NONE;
}

const char *format_name(enum format f)
{
    const struct format_row *row = row_of(f);

    return row ? row->name : "none";
}

bool format_is_offered(enum format f)
{
    const struct format_row *row = row_of(f);

    return row && row->offered;
}

const char *format_content_type(enum format f, enum framing framing)
{
    const struct format_row *row = row_of(f);

    if (!row)
        return "text/plain";
    return framing == FRAMING_LF ? row->type_lf : row->type;
}
