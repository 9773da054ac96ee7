/*
 * victorialogs+http, victorialogs+https: VictoriaLogs' JSON lines. http_post.c posts, formats/json.c
 * writes; here is what VictoriaLogs has to be told of the fields.
 *
 * It leaves out a line above its own limit and answers 200 all the same, so records are cut to that
 * limit unless max= says otherwise.
 */
#include "drains/base/http_post.h"
#include "drains/core/drain.h"
#include "drains/members/members.h"

#define FIELDS "hostname|namespace|pod|container|node|tag|stream"
#define FIELDS_DEFAULT (1U << 0 | 1U << 1 | 1U << 2 | 1U << 3)
#define LINE_MAX_DEFAULT (256 * 1024) /* -insert.maxLineSizeBytes */

struct victorialogs_options {
    uint32_t streams; /* a bit for each of FIELDS; 0 = FIELDS_DEFAULT */
};

/* ---- the URL ---- */

#define LINES (DRAIN_HTTP_MANY | DRAIN_ONE_FORMAT)
#define INSERT "/insert/jsonline"

static const struct drain_scheme schemes[] = {
    {.name = "victorialogs+http",
     .member = &drain_victorialogs,
     .port = 9428,
     .flags = LINES,
     .promise = PROMISE_CONFIRMED,
     .format = FORMAT_JSON,
     .framing = FRAMING_LF,
     .path = INSERT,
     .sends = "VictoriaLogs' JSON lines (`stream_fields=`)",
     .aliases = "vlogs|vl"},
    {.name = "victorialogs+https",
     .member = &drain_victorialogs,
     .port = 443,
     .flags = LINES | DRAIN_TLS,
     .promise = PROMISE_CONFIRMED,
     .format = FORMAT_JSON,
     .framing = FRAMING_LF,
     .path = INSERT,
     .aliases = "vlogs|vl"},
    {.name = NULL},
};

static const struct drain_option options[] = {
    {.name = "stream_fields",
     .values = FIELDS,
     .fallback = "hostname, namespace, pod and container",
     .help = "the fields that make a stream, with commas between",
     .type = OPTION_WORDS,
     DRAIN_FIELD(victorialogs_options, streams),
     .shown = SECTION_FORMAT},
    {.name = NULL},
};

static void set_defaults(struct drain_spec *s)
{
    s->format.sd = true;
    s->format.max = LINE_MAX_DEFAULT;
}

/* <path>, and which of our keys are the time, the message and the stream. */
static int add_target(const struct drain_spec *s, struct str path, struct buf *target)
{
    const struct victorialogs_options *own = s->own;
    uint32_t set = own->streams ? own->streams : FIELDS_DEFAULT;
    struct str rest = STR(FIELDS), field;
    const char *sep = "";
    int rc = buf_add_str(target, path);

    rc |= buf_add_str(target, STR("?_time_field=time&_msg_field=message&_stream_fields="));
    for (unsigned i = 0; str_cut(&rest, '|', &field); i++) {
        if (!(set & 1U << i))
            continue;
        rc |= buf_addf(target, "%s%.*s", sep, STR_ARG(field));
        sep = ",";
    }
    return rc < 0 ? -1 : 0;
}

const struct drain_member drain_victorialogs = {
    .ops = &http_ops,
    .kind = &http_status_alone,
    .schemes = schemes,
    .options = options,
    .own_size = sizeof(struct victorialogs_options),
    .answers = http_answers_only,
    .reserved = "_time_field|_msg_field|_stream_fields",
    .defaults = "sd=true|max=256k",
    .set_defaults = set_defaults,
    .add_target = add_target,
};
