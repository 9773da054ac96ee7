/*
 * A protobuf message → JSON, by protobuf-c's descriptors, so that envoy.proto is the only list of
 * fields. Like protobuf's own mapping (names as in the .proto, a Timestamp as RFC 3339, a Duration
 * as "0.0015s", a wrapped number as the number, a map as an object, enums by name, bytes of
 * google.protobuf.Any in base64), except that 64-bit integers are numbers. Fields at their default
 * are omitted.
 *
 * google.protobuf.Struct may be nested to any depth: only DEPTH_MAX levels are converted.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/base64.h"
#include "envoy.pb-c.h"
#include "formats/format.h"
#include "inputs/envoy_entry.h"

#define DEPTH_MAX 16
#define DURATION_MAX INT64_C(315576000000) /* seconds: the limit of a Duration */
#define SECONDS_MAX INT64_C(9000000000)    /* as nanoseconds they fit into 64 bits */

static struct str text(ProtobufCBinaryData b)
{
    return str_make((const char *)b.data, b.len);
}

static int add_name(struct buf *out, bool *first, struct str name)
{
    if (!*first && buf_add_ch(out, ',') < 0)
        return -1;
    *first = false;
    return format_json_string(out, name) < 0 ? -1 : buf_add_ch(out, ':');
}

struct str envoy_time(char out[CLOCK_TEXT_SIZE], int64_t seconds, int32_t nanos)
{
    if (seconds < 0 || seconds > SECONDS_MAX || nanos < 0 || nanos > 999999999)
        return STR("");
    return str_make(out, clock_format(out, seconds * 1000000000 + nanos));
}

/* JSON has no NaN and no infinity. */
static int add_double(struct buf *out, double d)
{
    return isfinite(d) ? buf_addf(out, "%.17g", d) : buf_addf(out, "null");
}

/* ---- google.protobuf.Struct ---- */

static int add_struct(struct buf *out, struct str bytes, struct arena *a, unsigned depth);

static int add_list(struct buf *out, struct str bytes, struct arena *a, unsigned depth);

static int add_struct_value(struct buf *out, struct str bytes, struct arena *a, unsigned depth)
{
    const Logtrain__Als__Value *v =
        logtrain__als__value__unpack(&a->allocator, bytes.len, (const uint8_t *)bytes.p);

    switch (v && depth < DEPTH_MAX ? v->kind_case : LOGTRAIN__ALS__VALUE__KIND__NOT_SET) {
    case LOGTRAIN__ALS__VALUE__KIND_NUMBER_VALUE:
        return add_double(out, v->number_value);
    case LOGTRAIN__ALS__VALUE__KIND_STRING_VALUE:
        return format_json_string(out, text(v->string_value));
    case LOGTRAIN__ALS__VALUE__KIND_BOOL_VALUE:
        return buf_addf(out, v->bool_value ? "true" : "false");
    case LOGTRAIN__ALS__VALUE__KIND_STRUCT_VALUE:
        return add_struct(out, text(v->struct_value), a, depth + 1);
    case LOGTRAIN__ALS__VALUE__KIND_LIST_VALUE:
        return add_list(out, text(v->list_value), a, depth + 1);
    default:
        return buf_addf(out, "null");
    }
}

static int add_list(struct buf *out, struct str bytes, struct arena *a, unsigned depth)
{
    const Logtrain__Als__ListValue *l =
        logtrain__als__list_value__unpack(&a->allocator, bytes.len, (const uint8_t *)bytes.p);

    if (buf_add_ch(out, '[') < 0)
        return -1;
    for (size_t i = 0; l && i < l->n_values; i++)
        if ((i && buf_add_ch(out, ',') < 0) ||
            add_struct_value(out, text(l->values[i]), a, depth) < 0)
            return -1;
    return buf_add_ch(out, ']');
}

static int add_struct(struct buf *out, struct str bytes, struct arena *a, unsigned depth)
{
    const Logtrain__Als__Struct *s =
        logtrain__als__struct__unpack(&a->allocator, bytes.len, (const uint8_t *)bytes.p);
    bool first = true;

    if (buf_add_ch(out, '{') < 0)
        return -1;
    for (size_t i = 0; s && i < s->n_fields; i++)
        if (add_name(out, &first, text(s->fields[i]->key)) < 0 ||
            add_struct_value(out, text(s->fields[i]->value), a, depth) < 0)
            return -1;
    return buf_add_ch(out, '}');
}

/* ---- messages with a shorter form in JSON ---- */

static int add_timestamp(struct buf *out, const Logtrain__Als__Timestamp *t)
{
    char text_of[CLOCK_TEXT_SIZE];
    struct str s = envoy_time(text_of, t->seconds, t->nanos);

    return s.len ? format_json_string(out, s) : buf_addf(out, "null");
}

/* Seconds with the necessary digits after the point; never with an exponent. */
static int add_duration(struct buf *out, const Logtrain__Als__Duration *d)
{
    bool minus = d->seconds < 0 || d->nanos < 0;
    char text_of[48];
    int n;

    if ((d->seconds > 0 && d->nanos < 0) || (d->seconds < 0 && d->nanos > 0) ||
        d->seconds > DURATION_MAX || d->seconds < -DURATION_MAX || d->nanos > 999999999 ||
        d->nanos < -999999999)
        return buf_addf(out, "null");
    n = snprintf(text_of, sizeof(text_of), "%s%" PRId64 ".%09d", minus ? "-" : "",
                 minus ? -d->seconds : d->seconds, minus ? -d->nanos : d->nanos);
    while (text_of[n - 1] == '0')
        n--;
    if (text_of[n - 1] == '.')
        n--;
    return buf_addf(out, "\"%.*ss\"", n, text_of);
}

static int add_any(struct buf *out, const Logtrain__Als__Any *any)
{
    if (buf_addf(out, "{\"@type\":") < 0 || format_json_string(out, text(any->type_url)) < 0 ||
        buf_addf(out, ",\"value\":\"") < 0 || base64_encode(text(any->value), out) < 0)
        return -1;
    return buf_addf(out, "\"}");
}

static int add_message(struct buf *out, const ProtobufCMessage *m, struct arena *a)
{
    const ProtobufCMessageDescriptor *type = m->descriptor;

    if (type == &logtrain__als__timestamp__descriptor)
        return add_timestamp(out, (const Logtrain__Als__Timestamp *)m);
    if (type == &logtrain__als__duration__descriptor)
        return add_duration(out, (const Logtrain__Als__Duration *)m);
    if (type == &logtrain__als__uint32_value__descriptor)
        return buf_addf(out, "%" PRIu32, ((const Logtrain__Als__UInt32Value *)m)->value);
    if (type == &logtrain__als__any__descriptor)
        return add_any(out, (const Logtrain__Als__Any *)m);
    if (buf_add_ch(out, '{') < 0 || envoy_json_fields(out, m, a) < 0)
        return -1;
    return buf_add_ch(out, '}');
}

/* ---- maps: repeated pairs ---- */

static bool is_map(const ProtobufCFieldDescriptor *f)
{
    return f->type == PROTOBUF_C_TYPE_MESSAGE &&
           (f->descriptor == &logtrain__als__text_entry__descriptor ||
            f->descriptor == &logtrain__als__any_entry__descriptor ||
            f->descriptor == &logtrain__als__struct_entry__descriptor);
}

static int add_pair(struct buf *out, bool *first, const ProtobufCMessage *m, struct arena *a)
{
    const Logtrain__Als__TextEntry *pair = (const Logtrain__Als__TextEntry *)m;
    const Logtrain__Als__Any *any;

    if (add_name(out, first, text(pair->key)) < 0) /* the first field of all three */
        return -1;
    if (m->descriptor == &logtrain__als__text_entry__descriptor)
        return format_json_string(out, text(pair->value));
    if (m->descriptor == &logtrain__als__struct_entry__descriptor)
        return add_struct(out, text(((const Logtrain__Als__StructEntry *)m)->value), a, 0);
    any = ((const Logtrain__Als__AnyEntry *)m)->value;
    return any ? add_any(out, any) : buf_addf(out, "null");
}

/* ---- fields ---- */

static int add_enum(struct buf *out, const ProtobufCEnumDescriptor *type, int value)
{
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(type, value);

    return v ? buf_addf(out, "\"%s\"", v->name) : buf_addf(out, "%d", value);
}

/* False when the value at <p> is its type's default and <always> is false. */
static bool is_set(const ProtobufCFieldDescriptor *f, const void *p, bool always)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        return *(ProtobufCMessage *const *)p;
    case PROTOBUF_C_TYPE_BYTES:
        return always || ((const ProtobufCBinaryData *)p)->len;
    case PROTOBUF_C_TYPE_DOUBLE:
        return always || fpclassify(*(const double *)p) != FP_ZERO;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_INT64:
        return always || *(const uint64_t *)p;
    case PROTOBUF_C_TYPE_BOOL:
        return always || *(const protobuf_c_boolean *)p;
    default:
        return always || *(const uint32_t *)p;
    }
}

static int add_value(struct buf *out, const ProtobufCFieldDescriptor *f, const void *p,
                     struct arena *a)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        return add_message(out, *(ProtobufCMessage *const *)p, a);
    case PROTOBUF_C_TYPE_BYTES:
        return format_json_string(out, text(*(const ProtobufCBinaryData *)p));
    case PROTOBUF_C_TYPE_DOUBLE:
        return add_double(out, *(const double *)p);
    case PROTOBUF_C_TYPE_UINT64:
        return buf_addf(out, "%" PRIu64, *(const uint64_t *)p);
    case PROTOBUF_C_TYPE_INT64:
        return buf_addf(out, "%" PRId64, *(const int64_t *)p);
    case PROTOBUF_C_TYPE_BOOL:
        return buf_addf(out, *(const protobuf_c_boolean *)p ? "true" : "false");
    case PROTOBUF_C_TYPE_ENUM:
        return add_enum(out, f->descriptor, *(const int *)p);
    case PROTOBUF_C_TYPE_INT32:
        return buf_addf(out, "%" PRId32, *(const int32_t *)p);
    default:
        return buf_addf(out, "%" PRIu32, *(const uint32_t *)p);
    }
}

static int add_repeated(struct buf *out, const ProtobufCFieldDescriptor *f, const void *items,
                        size_t n, struct arena *a)
{
    const size_t step =
        f->type == PROTOBUF_C_TYPE_BYTES ? sizeof(ProtobufCBinaryData) : sizeof(void *);
    bool map = is_map(f), first = true;

    if (buf_add_ch(out, map ? '{' : '[') < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        const void *item = (const char *)items + i * step;

        if (map) {
            if (add_pair(out, &first, *(ProtobufCMessage *const *)item, a) < 0)
                return -1;
        } else if ((i && buf_add_ch(out, ',') < 0) || add_value(out, f, item, a) < 0) {
            return -1;
        }
    }
    return buf_add_ch(out, map ? '}' : ']');
}

int envoy_json_fields(struct buf *out, const ProtobufCMessage *m, struct arena *a)
{
    const ProtobufCMessageDescriptor *type = m->descriptor;
    bool first = true;

    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &type->fields[i];
        const char *at = (const char *)m + f->offset;
        const void *count = (const char *)m + f->quantifier_offset;
        bool one_of = f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;

        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t n = *(const size_t *)count;

            if (n && (add_name(out, &first, str_of(f->name)) < 0 ||
                      add_repeated(out, f, *(const void *const *)at, n, a) < 0))
                return -1;
        } else if (one_of ? *(const uint32_t *)count == f->id : is_set(f, at, false)) {
            if (is_set(f, at, true) &&
                (add_name(out, &first, str_of(f->name)) < 0 || add_value(out, f, at, a) < 0))
                return -1;
        }
    }
    return 0;
}
