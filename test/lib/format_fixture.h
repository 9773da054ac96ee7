/* What the tests of the encoders share: a record, an identity, and one call that encodes. */
#ifndef TEST_FORMAT_FIXTURE_H
#define TEST_FORMAT_FIXTURE_H

#include "formats/format.h"
#include "json_reader.h"

#define FIXTURE_NOW "2026-11-20T10:15:59.123456Z"
#define FIXTURE_TIME "2026-11-20T10:15:00.123456789Z"

static inline struct identity fixture_identity(void)
{
    return (struct identity){
        .hostname = STR("web.shop"),
        .tag = STR("web-1"),
        .namespace = STR("shop"),
        .pod = STR("web-1"),
        .container = STR("app"),
        .node = STR("n1"),
    };
}

static inline struct record fixture_record(struct str msg)
{
    return (struct record){.time = STR(FIXTURE_TIME), .msg = msg, .segment = 0xabc, .offset = 0x1f};
}

/* Encodes one record into <out>, which is cleared. Returns formatter_add()'s result. */
static inline int fixture_encode(const struct format_options *o, const struct identity *id,
                                 const struct record *r, struct buf *out, bool *cut)
{
    struct formatter *f = formatter_create(o, id);
    int rc;

    buf_clear(out);
    rc = formatter_add(f, out, r, STR(FIXTURE_NOW), cut);
    formatter_free(f);
    return rc;
}

static inline void expect(struct str got, struct str want)
{
    if (!str_eq(got, want))
        fail_msg("got '%.*s', expected '%.*s'", STR_ARG(got), STR_ARG(want));
}

/* <r> in the format of <o> is <want>, which is JSON where the format is. */
static inline void expect_encoded(const struct format_options *o, const struct identity *id,
                                  const struct record *r, struct str want)
{
    struct buf out = BUF_INIT(1 << 20);

    assert_int_equal(fixture_encode(o, id, r, &out, NULL), 0);
    expect(buf_str(&out), want);
    if (o->format == FORMAT_JSON || o->format == FORMAT_GELF)
        assert_true(json_valid(want));
    buf_release(&out);
}

#endif
