/*
 * The encoders and framings. The input gives the options, a hostname, a tag and some messages. Each
 * record alone must be read back by a reader of its format (test/lib), and then all of them in one
 * stream, cut into pieces anywhere, must come out of a small reference de-framer as the same
 * records.
 *
 * Input: five bytes of options, then fields that 0x1e separates: hostname, tag, message, message, …
 */
#include "../lib/json_reader.h"
#include "../lib/rfc5424_reader.h"
#include "formats/format.h"
#include "fuzz.h"
#include "otlp.pb-c.h"

#define OPTION_BYTES 5
#define RECORDS_MAX 16
#define NOW "2026-11-20T10:15:00.123456Z"
#define MARK " [logtrain: line cut]"

static const char *const times[] = {
    "",
    "2026-11-20T10:15:00Z",
    "2026-11-20T10:15:00.1Z",
    "2026-11-20T10:15:00.123456789Z",
    "2026-11-20T10:15:00.123456789-07:30",
    "2016-12-31T23:59:60.999999999+00:00",
};

struct input {
    struct format_options o;
    struct identity id;
    struct record records[RECORDS_MAX];
    size_t count;
    size_t piece; /* the stream is fed to the de-framer in pieces of so many bytes */
};

static bool is_otlp(const struct format_options *o)
{
    return o->format == FORMAT_OTLP || o->format == FORMAT_OTLP_JSON;
}

static bool read_input(struct input *in, struct str data)
{
    static const enum format grouped[] = {FORMAT_LOKI,   FORMAT_DATADOG, FORMAT_NEWRELIC,
                                          FORMAT_SPLUNK, FORMAT_OTLP,    FORMAT_OTLP_JSON};
    const unsigned char *b = (const unsigned char *)data.p;
    struct str part;

    memset(in, 0, sizeof(*in));
    if (data.len < OPTION_BYTES)
        return false;
    in->o.format = 1 + b[0] % 3;
    in->o.framing = 1 + b[0] / 3 % 4;
    if (b[1] & 32)
        in->o.format = b[1] & 64 ? FORMAT_GELF : FORMAT_ELASTIC;
    else if (b[1] & 64)
        in->o.format = grouped[b[0] / 12 % ARRAY_LEN(grouped)];
    if (b[1] & 128)
        in->o.framing = FRAMING_NUL;
    if (is_otlp(&in->o))
        in->o.framing = FRAMING_STREAMS;
    in->o.sd = b[1] & 1;
    in->o.max = b[1] & 2 ? (size_t)b[2] * (b[1] & 4 ? 1 : 16) : 0;
    in->piece = 1 + b[3];
    data = str_skip(data, OPTION_BYTES);
    if (!str_cut(&data, 0x1e, &in->id.hostname) || !str_cut(&data, 0x1e, &in->id.tag))
        return false;
    if (b[1] & 8)
        in->id.pod = in->id.tag;
    if (b[1] & 16)
        in->id.node = in->id.hostname;
    while (in->count < RECORDS_MAX && str_cut(&data, 0x1e, &part)) {
        struct record *r = &in->records[in->count++];

        r->msg = part;
        r->fd = (b[4] ^ in->count) & 1 ? RECORD_STDERR : RECORD_STDOUT;
        r->flags = (b[4] >> 1 ^ in->count) & 2 ? RECORD_CUT : 0;
        r->time = str_of(times[(b[4] / 8 + in->count) % ARRAY_LEN(times)]);
        r->segment = b[4] * 0x0123456789abcdefu;
        r->offset = in->count * b[3];
    }
    return true;
}

/* <got> must equal this, or with `max` a prefix of it. */
static void check_text(const struct input *in, struct str got, const struct record *r, bool cut)
{
    struct buf want = BUF_INIT(SIZE_MAX - 1);

    FUZZ_CHECK(buf_add_str(&want, r->msg) == 0);
    if (r->flags & RECORD_CUT)
        FUZZ_CHECK(buf_add_str(&want, STR(MARK)) == 0);
    FUZZ_CHECK(cut ? str_starts(buf_str(&want), got) : str_eq(got, buf_str(&want)));
    FUZZ_CHECK(!cut || in->o.max);
    buf_release(&want);
}

static void check_rfc5424(const struct input *in, struct str text, const struct record *r, bool cut)
{
    struct buf value = BUF_INIT(SIZE_MAX - 1);
    struct rfc5424 m;
    bool found;

    if (in->o.max &&
        in->o.max < 360) { /* shorter than the longest header without structured data */
        FUZZ_CHECK(text.len <= in->o.max);
        if (!rfc5424_read(text, &m))
            return;
    } else {
        FUZZ_CHECK(rfc5424_read(text, &m));
    }
    FUZZ_CHECK(m.pri == (r->fd == RECORD_STDERR ? 11 : 14));
    check_text(in, m.msg, r, cut);
    if (!cut && in->id.tag.len > 48 && in->id.tag.len < 1000) {
        struct buf clean = BUF_INIT(SIZE_MAX - 1);

        FUZZ_CHECK(rfc5424_sd(m.sd, "tag", &value, &found) == m.sd.len && found);
        FUZZ_CHECK(utf8_sanitize(in->id.tag, &clean) == 0);
        for (size_t i = 0; i < clean.len; i++) {
            if ((unsigned char)clean.p[i] < 32 || clean.p[i] == 127)
                clean.p[i] = ' ';
        }
        FUZZ_CHECK(str_eq(buf_str(&value), buf_str(&clean)));
        buf_release(&clean);
    }
    buf_release(&value);
}

static void check_json(struct str text, const struct record *r, bool cut)
{
    struct buf got = BUF_INIT(SIZE_MAX - 1), want = BUF_INIT(SIZE_MAX - 1);

    FUZZ_CHECK(json_valid(text));
    FUZZ_CHECK(!memchr(text.p, '\n', text.len));
    FUZZ_CHECK(json_get(text, "severity", &got));
    FUZZ_CHECK(str_eq(buf_str(&got), r->fd == RECORD_STDERR ? STR("3") : STR("6")));
    FUZZ_CHECK(json_get(text, "time", &got) && decode_time_valid(buf_str(&got)));
    FUZZ_CHECK(json_get(text, "message", &got));
    FUZZ_CHECK(utf8_sanitize(r->msg, &want) == 0);
    if (r->flags & RECORD_CUT)
        FUZZ_CHECK(buf_add_str(&want, STR(MARK)) == 0);
    if (cut)
        FUZZ_CHECK(str_starts(buf_str(&want), buf_str(&got)));
    else
        FUZZ_CHECK(str_eq(buf_str(&want), buf_str(&got)));
    buf_release(&got);
    buf_release(&want);
}

static void check_gelf(struct str text, const struct record *r, bool cut)
{
    struct buf got = BUF_INIT(SIZE_MAX - 1), want = BUF_INIT(SIZE_MAX - 1);

    FUZZ_CHECK(json_valid(text));
    FUZZ_CHECK(!memchr(text.p, '\n', text.len) && !memchr(text.p, '\0', text.len));
    FUZZ_CHECK(json_get(text, "version", &got) && str_eq(buf_str(&got), STR("1.1")));
    FUZZ_CHECK(json_get(text, "host", &got) && got.len);
    FUZZ_CHECK(json_get(text, "level", &got));
    FUZZ_CHECK(str_eq(buf_str(&got), r->fd == RECORD_STDERR ? STR("3") : STR("6")));
    FUZZ_CHECK(json_get(text, "timestamp", &got) && got.len);
    FUZZ_CHECK(json_get(text, "short_message", &got) && got.len);
    FUZZ_CHECK(utf8_sanitize(r->msg, &want) == 0);
    if (r->flags & RECORD_CUT)
        FUZZ_CHECK(buf_add_str(&want, STR(MARK)) == 0);
    if (!str_eq(buf_str(&got), STR("-")) && !str_eq(buf_str(&got), STR("-" MARK)))
        FUZZ_CHECK(cut ? str_starts(buf_str(&want), buf_str(&got))
                       : str_eq(buf_str(&want), buf_str(&got)));
    buf_release(&got);
    buf_release(&want);
}

/* Two lines: the action, whose index is legal, and the document. */
static void check_elastic(struct str text, const struct record *r, bool cut)
{
    struct buf got = BUF_INIT(SIZE_MAX - 1), want = BUF_INIT(SIZE_MAX - 1);
    struct str action, document = text, index;

    FUZZ_CHECK(str_cut(&document, '\n', &action));
    FUZZ_CHECK(json_valid(action) && json_valid(document));
    FUZZ_CHECK(!memchr(document.p, '\n', document.len));
    FUZZ_CHECK(str_starts(action, STR("{\"create\":{\"_index\":\"")));
    index = str_skip(action, sizeof("{\"create\":{\"_index\":\"") - 1);
    FUZZ_CHECK(format_index_valid(str_head(index, (size_t)str_find(index, '"'))));
    FUZZ_CHECK(json_get(document, "@timestamp", &got) && decode_time_valid(buf_str(&got)));
    FUZZ_CHECK(json_get(document, "message", &got));
    FUZZ_CHECK(utf8_sanitize(r->msg, &want) == 0);
    if (r->flags & RECORD_CUT)
        FUZZ_CHECK(buf_add_str(&want, STR(MARK)) == 0);
    FUZZ_CHECK(cut ? str_starts(buf_str(&want), buf_str(&got))
                   : str_eq(buf_str(&want), buf_str(&got)));
    buf_release(&got);
    buf_release(&want);
}

/* ["<digits>","<line>"] */
static void check_loki(const struct input *in, struct str text, const struct record *r, bool cut)
{
    struct buf object = BUF_INIT(SIZE_MAX - 1), got = BUF_INIT(SIZE_MAX - 1),
               want = BUF_INIT(SIZE_MAX - 1);
    size_t digits;

    FUZZ_CHECK(text.len > 2 && str_starts(text, STR("[\"")));
    digits = strspn(text.p + 2, "0123456789");
    FUZZ_CHECK(digits >= 10);
    text = str_skip(text, 2 + digits);
    FUZZ_CHECK(str_starts(text, STR("\",\"")) && str_ends(text, STR("\"]")));
    FUZZ_CHECK(buf_add_str(&object, STR("{\"line\":\"")) == 0);
    FUZZ_CHECK(buf_add_str(&object, str_head(str_skip(text, 3), text.len - 4)) == 0);
    FUZZ_CHECK(buf_add_ch(&object, '}') == 0);
    FUZZ_CHECK(json_valid(buf_str(&object)) && json_get(buf_str(&object), "line", &got));
    FUZZ_CHECK(utf8_sanitize(r->msg, &want) == 0);
    if (r->flags & RECORD_CUT)
        FUZZ_CHECK(buf_add_str(&want, STR(MARK)) == 0);
    FUZZ_CHECK(cut ? in->o.max && str_starts(buf_str(&want), buf_str(&got))
                   : str_eq(buf_str(&want), buf_str(&got)));
    buf_release(&object);
    buf_release(&got);
    buf_release(&want);
}

/* An object for each record; Splunk's has a message that is not blank. */
static void check_intake(const struct input *in, struct str text, const struct record *r, bool cut)
{
    const char *key = in->o.format == FORMAT_SPLUNK ? "event" : "message";
    struct buf got = BUF_INIT(SIZE_MAX - 1), want = BUF_INIT(SIZE_MAX - 1);

    FUZZ_CHECK(json_valid(text) && json_get(text, key, &got));
    FUZZ_CHECK(utf8_sanitize(r->msg, &want) == 0);
    if (r->flags & RECORD_CUT)
        FUZZ_CHECK(buf_add_str(&want, STR(MARK)) == 0);
    if (in->o.format == FORMAT_SPLUNK && str_starts(buf_str(&got), STR("-")))
        FUZZ_CHECK(got.len > 0);
    else
        FUZZ_CHECK(cut ? in->o.max && str_starts(buf_str(&want), buf_str(&got))
                       : str_eq(buf_str(&want), buf_str(&got)));
    buf_release(&got);
    buf_release(&want);
}

/* A message of its own, read by protobuf-c: what holds records, without a scope. */
static void check_otlp(const struct input *in, struct str text, const struct record *r, bool cut)
{
    Otlp__ScopeLogs *m = otlp__scope_logs__unpack(NULL, text.len, (const uint8_t *)text.p);
    const Otlp__LogRecord *record;
    struct str body;

    FUZZ_CHECK(m && m->n_log_records == 1);
    record = m->log_records[0];
    body = str_make((const char *)record->body->string_value.data, record->body->string_value.len);
    FUZZ_CHECK(record->severity_number == (r->fd == RECORD_STDERR ? 17 : 9));
    FUZZ_CHECK((record->time_unix_nano != 0) == (r->time.len != 0));
    FUZZ_CHECK(record->observed_time_unix_nano && record->n_attributes == 1U + in->o.sd);
    check_text(in, body, r, cut);
    otlp__scope_logs__free_unpacked(m, NULL);
}

/* No key stands in a string with its quotes: they would be escaped. */
static void check_otlp_json(const struct input *in, struct str text, const struct record *r,
                            bool cut)
{
    static const char key[] = ",\"body\":";
    struct buf got = BUF_INIT(SIZE_MAX - 1), want = BUF_INIT(SIZE_MAX - 1);
    const char *at;

    FUZZ_CHECK(json_valid(text));
    at = memmem(text.p, text.len, key, sizeof(key) - 1);
    FUZZ_CHECK(at);
    text = str_skip(text, (size_t)(at - text.p) + sizeof(key) - 1);
    FUZZ_CHECK(json_get(str_head(text, text.len - 1), "stringValue", &got));
    FUZZ_CHECK(utf8_sanitize(r->msg, &want) == 0);
    if (r->flags & RECORD_CUT)
        FUZZ_CHECK(buf_add_str(&want, STR(MARK)) == 0);
    FUZZ_CHECK(cut ? in->o.max && str_starts(buf_str(&want), buf_str(&got))
                   : str_eq(buf_str(&want), buf_str(&got)));
    buf_release(&got);
    buf_release(&want);
}

/* The same push as protobuf-c reads it. */
static void check_request(const struct input *in, struct str text)
{
    Otlp__Request *m = otlp__request__unpack(NULL, text.len, (const uint8_t *)text.p);

    FUZZ_CHECK(m && m->n_resource_logs == 2);
    for (size_t i = 0; i < 2; i++) {
        const Otlp__ResourceLogs *logs = m->resource_logs[i];

        FUZZ_CHECK(logs->resource && logs->n_scope_logs == 1);
        FUZZ_CHECK(logs->scope_logs[0]->n_log_records == (i ? 1 : in->count));
        for (size_t j = 0; j < logs->resource->n_attributes; j++) {
            const ProtobufCBinaryData *v = &logs->resource->attributes[j]->value->string_value;

            FUZZ_CHECK(v->len && format_is_utf8(str_make((const char *)v->data, v->len)));
        }
    }
    otlp__request__free_unpacked(m, NULL);
}

/* A whole push of two ranges, the second of one record, is valid. */
static void check_push(const struct input *in)
{
    struct format_options o = in->o;
    struct formatter *f;
    struct buf out = BUF_INIT(SIZE_MAX - 1);

    o.framing = FRAMING_STREAMS;
    f = formatter_create(&o, &in->id);
    for (size_t range = 0; range < 2; range++) {
        FUZZ_CHECK(formatter_begin_range(f, &out) == 0);
        for (size_t i = 0; i < (range ? 1 : in->count); i++)
            FUZZ_CHECK(formatter_add(f, &out, &in->records[i], STR(NOW), NULL) == 0);
        FUZZ_CHECK(formatter_end_range(f, &out) == 0);
    }
    FUZZ_CHECK(formatter_end(f, &out) == 0);
    if (o.format == FORMAT_OTLP)
        check_request(in, buf_str(&out));
    else
        FUZZ_CHECK(json_valid(buf_str(&out)));
    formatter_free(f);
    buf_release(&out);
}

/* One record on its own. The text goes to <out>. */
static void check_alone(const struct input *in, const struct record *r, struct buf *out)
{
    struct format_options o = in->o;
    struct formatter *f;
    bool cut;

    o.framing = FRAMING_NONE;
    f = formatter_create(&o, &in->id);
    buf_clear(out);
    FUZZ_CHECK(formatter_add(f, out, r, STR(NOW), &cut) == 0);
    formatter_free(f);
    if (o.format == FORMAT_RFC5424)
        check_rfc5424(in, buf_str(out), r, cut);
    else if (o.format == FORMAT_JSON)
        check_json(buf_str(out), r, cut);
    else if (o.format == FORMAT_GELF)
        check_gelf(buf_str(out), r, cut);
    else if (o.format == FORMAT_ELASTIC)
        check_elastic(buf_str(out), r, cut);
    else if (o.format == FORMAT_LOKI)
        check_loki(in, buf_str(out), r, cut);
    else if (o.format == FORMAT_OTLP)
        check_otlp(in, buf_str(out), r, cut);
    else if (o.format == FORMAT_OTLP_JSON)
        check_otlp_json(in, buf_str(out), r, cut);
    else if (o.format >= FORMAT_DATADOG)
        check_intake(in, buf_str(out), r, cut);
    else
        check_text(in, buf_str(out), r, cut);
    if (o.max && (o.format == FORMAT_RFC5424 || o.format == FORMAT_RAW))
        FUZZ_CHECK(out->len <= o.max);
}

/* ---- the reference de-framer: bytes in, one at a time, records out ---- */

struct deframer {
    const struct input *in;
    size_t next; /* record expected */
    size_t want; /* OCTET: bytes left of the frame */
    size_t digits;
    bool body;
    struct buf frame;
};

static void deframer_record(struct deframer *d)
{
    struct buf alone = BUF_INIT(SIZE_MAX - 1);

    FUZZ_CHECK(d->next < d->in->count);
    check_alone(d->in, &d->in->records[d->next++], &alone);
    for (size_t i = 0; d->in->o.framing == FRAMING_LF && i < alone.len; i++) {
        if (alone.p[i] == '\n' || alone.p[i] == '\0')
            alone.p[i] = ' ';
    }
    FUZZ_CHECK(str_eq(buf_str(&alone), buf_str(&d->frame)));
    buf_clear(&d->frame);
    buf_release(&alone);
}

static void deframer_byte(struct deframer *d, char c)
{
    if (d->in->o.framing == FRAMING_LF) {
        if (c == '\n')
            deframer_record(d);
        else
            FUZZ_CHECK(buf_add_ch(&d->frame, c) == 0);
        return;
    }
    if (d->body) {
        FUZZ_CHECK(buf_add_ch(&d->frame, c) == 0);
        d->want--;
    } else if (c != ' ') {
        FUZZ_CHECK(c >= '0' && c <= '9' && ++d->digits <= 7);
        FUZZ_CHECK(d->digits == 1 || d->want != 0); /* no leading zeros */
        d->want = d->want * 10 + (size_t)(c - '0');
        return;
    } else {
        FUZZ_CHECK(d->digits > 0);
        d->body = true;
    }
    if (d->want == 0) {
        deframer_record(d);
        d->body = false;
        d->digits = 0;
    }
}

/* All records in one buffer that grows by pieces, as a connection would see it. */
static void check_stream(const struct input *in)
{
    struct formatter *f = formatter_create(&in->o, &in->id);
    struct deframer d = {.in = in, .frame = BUF_INIT(SIZE_MAX - 1)};
    struct buf out = BUF_INIT(SIZE_MAX - 1);

    for (size_t i = 0; i < in->count; i++)
        FUZZ_CHECK(formatter_add(f, &out, &in->records[i], STR(NOW), NULL) == 0);
    FUZZ_CHECK(formatter_end(f, &out) == 0);
    if (in->o.framing == FRAMING_ARRAY && in->o.format == FORMAT_JSON)
        FUZZ_CHECK(json_valid(buf_str(&out)));
    if (in->o.framing == FRAMING_LF || in->o.framing == FRAMING_OCTET) {
        while (out.len) {
            size_t n = out.len < in->piece ? out.len : in->piece;

            for (size_t i = 0; i < n; i++)
                deframer_byte(&d, out.p[i]);
            buf_consume(&out, n);
        }
        FUZZ_CHECK(d.next == in->count && d.frame.len == 0 && !d.body && d.digits == 0);
    }
    buf_release(&d.frame);
    buf_release(&out);
    formatter_free(f);
}

/* A buffer that is too small by any amount is left as it was. */
static void check_full(const struct input *in, size_t missing)
{
    struct buf whole = BUF_INIT(SIZE_MAX - 1), small;
    struct formatter *f = formatter_create(&in->o, &in->id);

    FUZZ_CHECK(formatter_add(f, &whole, &in->records[0], STR(NOW), NULL) == 0);
    if (whole.len) {
        small = BUF_INIT(whole.len - 1 - missing % whole.len);
        FUZZ_CHECK(formatter_add(f, &small, &in->records[0], STR(NOW), NULL) < 0);
        FUZZ_CHECK(small.len == 0);
        buf_release(&small);
    }
    small = BUF_INIT(whole.len);
    /* rfc5424 may want room for a header that `max` then cuts */
    if (formatter_add(f, &small, &in->records[0], STR(NOW), NULL) == 0)
        FUZZ_CHECK(str_eq(buf_str(&small), buf_str(&whole)));
    else
        FUZZ_CHECK(in->o.format == FORMAT_RFC5424 && in->o.max && in->o.max < 360);
    buf_release(&small);
    buf_release(&whole);
    formatter_free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf out = BUF_INIT(SIZE_MAX - 1);
    struct input in;

    if (!read_input(&in, str_make((const char *)data, size)))
        return 0;
    for (size_t i = 0; i < in.count; i++)
        check_alone(&in, &in.records[i], &out);
    if ((in.o.format == FORMAT_LOKI || in.o.format == FORMAT_NEWRELIC || is_otlp(&in.o)) &&
        in.count)
        check_push(&in);
    else if (in.o.format != FORMAT_ELASTIC && !is_otlp(&in.o) &&
             in.o.format != FORMAT_NEWRELIC) /* whose records are two lines each */
        check_stream(&in);
    if (in.count)
        check_full(&in, in.piece);
    buf_release(&out);
    return 0;
}
