/*
 *   ExportLogsServiceResponse { partial_success = 1 { int64 rejected_log_records = 1;
 *                                                     string error_message = 2; } }
 *   {"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"…"}}
 *
 * Only the number is read. The message is the receiver's, and may hold what was sent.
 */
#include "drains/members/otlp_answer.h"

#include "drains/base/json_value.h"

#define VARINT_MAX 10 /* bytes */

enum wire { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

struct field {
    uint64_t number;
    enum wire type;
    uint64_t value;   /* VARINT */
    struct str bytes; /* BYTES; what there is of it, if it ends early */
};

static bool take_varint(struct str *in, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < in->len && i < VARINT_MAX; i++) {
        unsigned char c = (unsigned char)in->p[i];

        *out |= (uint64_t)(c & 0x7f) << 7 * i;
        if (c < 0x80) {
            *in = str_skip(*in, i + 1);
            return true;
        }
    }
    return false;
}

/* False at the end, and where it is no protobuf. */
static bool take_field(struct str *in, struct field *out)
{
    uint64_t key, skip = 0;

    if (!take_varint(in, &key))
        return false;
    *out = (struct field){.number = key >> 3, .type = key & 7};
    switch (out->type) {
    case VARINT:
        return take_varint(in, &out->value);
    case BYTES:
        if (!take_varint(in, &skip))
            return false;
        skip = skip < in->len ? skip : in->len;
        out->bytes = str_head(*in, (size_t)skip);
        break;
    case FIXED64:
    case FIXED32:
        skip = out->type == FIXED64 ? 8 : 4;
        if (skip > in->len)
            return false;
        break;
    default:
        return false;
    }
    *in = str_skip(*in, (size_t)skip);
    return true;
}

static uint64_t of_protobuf(struct str answer)
{
    uint64_t rejected = 0;
    struct field f, inner;

    while (take_field(&answer, &f)) {
        if (f.number != 1 || f.type != BYTES)
            continue;
        while (take_field(&f.bytes, &inner))
            if (inner.number == 1 && inner.type == VARINT)
                rejected = inner.value <= INT64_MAX ? inner.value : 0;
    }
    return rejected;
}

/* 0 = there is none. */
static uint64_t of_json(struct str answer, struct str key)
{
    uint64_t rejected;

    return json_number(answer, key, INT64_MAX, &rejected) ? rejected : 0;
}

uint64_t otlp_answer_rejected(struct str body)
{
    uint64_t rejected;

    if (!str_starts(json_after_space(body), STR("{")))
        return of_protobuf(body);
    rejected = of_json(body, STR("\"rejectedLogRecords\""));
    return rejected ? rejected : of_json(body, STR("\"rejected_log_records\""));
}
