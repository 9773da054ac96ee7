/*
 * clickhouse+http, clickhouse+https: INSERT INTO table= FORMAT JSONEachRow. http_post.c posts,
 * formats/json.c writes a row for each record, with the keys of the table's columns.
 *
 * insert_deduplication_token is a hash of where the rows come from and of the rows themselves, so
 * that a table that remembers tokens takes an insert once, and never leaves out another one. A
 * request without an answer is sent again with the same rows (core/repeat.c). After a crash rows
 * may come with others. Then each has the record's id, by which a ReplacingMergeTree keeps it once.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/limits.h"
#include "drains/base/http_post.h"
#include "drains/core/drain.h"
#include "drains/members/members.h"

#define TABLE_MAX 200

struct clickhouse_options {
    char *table;
};

/* ---- the URL ---- */

#define ROWS (DRAIN_HTTP_MANY | DRAIN_ONE_FORMAT | DRAIN_REPEATS)

static const struct drain_scheme schemes[] = {
    {.name = "clickhouse+http",
     .member = &drain_clickhouse,
     .port = 8123,
     .flags = ROWS,
     .promise = PROMISE_CONFIRMED,
     .format = FORMAT_JSON,
     .framing = FRAMING_LF,
     .sends = "ClickHouse, a row for each record (`table=`)"},
    {.name = "clickhouse+https",
     .member = &drain_clickhouse,
     .port = 8443,
     .flags = ROWS | DRAIN_TLS,
     .promise = PROMISE_CONFIRMED,
     .format = FORMAT_JSON,
     .framing = FRAMING_LF},
    {.name = NULL},
};

/* Only what needs no quotes in SQL: "table", "database.table". */
static bool is_table(struct str v)
{
    bool begins = true;

    for (size_t i = 0; i < v.len; i++) {
        char c = v.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

        if (!letter && (begins || !((c >= '0' && c <= '9') || c == '.')))
            return false;
        begins = c == '.';
    }
    return !begins && str_find(v, '.') == str_rfind(v, '.');
}

static const struct drain_option options[] = {
    {.name = "table",
     .common = true,
     .values = "NAME",
     .fallback = "must be given",
     .help = "the table to insert into, or database.table",
     .type = OPTION_TEXT,
     DRAIN_FIELD(clickhouse_options, table),
     .max = TABLE_MAX,
     .fits = is_table,
     .must_be = "a table, or database.table, in letters, digits and '_'"},
    {.name = NULL},
};

static void set_defaults(struct drain_spec *s)
{
    s->format.sd = true;
}

static int settle(struct drain_spec *s, struct err *e)
{
    const struct clickhouse_options *own = s->own;

    return own->table ? 0 : err_set(e, EINVAL, "option 'table' must be given");
}

/* Keys without a column are left out, times are read as RFC 3339 has them, and the answer comes when
 * the rows are in the table. */
static int add_target(const struct drain_spec *s, struct str path, struct buf *target)
{
    const struct clickhouse_options *own = s->own;

    return buf_addf(target,
                    "%.*s?query=INSERT%%20INTO%%20%s%%20FORMAT%%20JSONEachRow&"
                    "input_format_skip_unknown_fields=1&date_time_input_format=best_effort&"
                    "wait_for_async_insert=1",
                    STR_ARG(path), own->table);
}

static int describe(const struct drain_spec *s, enum drain_section section, struct buf *out)
{
    const struct clickhouse_options *own = s->own;

    return section == SECTION_FORMAT ? drain_spec_line(out, "table", "%s", own->table) : 0;
}

/* ---- the token ---- */

#define TOKEN_BYTES 16 /* of the hash */

/* Where a range begins. Its file is known by its identity, which no other file has. */
struct origin {
    uint64_t segment, off;
    uint32_t gen, records;
};

static struct origin origin_of(const struct batch_range *r)
{
    const struct position *from = &r->from.pos;
    const struct segment *seg =
        r->cursor ? stream_segment(r->cursor->cursor.stream, from->seg) : NULL;

    return (struct origin){.segment = seg ? seg->id_hash : from->seg,
                           .off = from->off,
                           .gen = from->gen,
                           .records = r->records};
}

static int add_token(const struct batch *b, struct buf *target)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int rc = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 ? 0 : -1;

    for (unsigned i = 0; i < b->nranges && rc == 0; i++) {
        struct origin o = origin_of(&b->ranges[i]);

        rc = EVP_DigestUpdate(ctx, &o, sizeof(o)) == 1 ? 0 : -1;
    }
    if (rc < 0 || EVP_DigestUpdate(ctx, b->body.p, b->body.len) != 1 ||
        EVP_DigestFinal_ex(ctx, hash, NULL) != 1)
        BUG("clickhouse: no SHA-256");
    EVP_MD_CTX_free(ctx);
    rc = buf_add_str(target, STR("&insert_deduplication_token="));
    for (unsigned i = 0; i < TOKEN_BYTES && rc == 0; i++)
        rc = buf_addf(target, "%02x", hash[i]);
    return rc;
}

static const struct http_kind kind = {.verdict = http_status_verdict, .add_to_target = add_token};

const struct drain_member drain_clickhouse = {
    .ops = &http_ops,
    .kind = &kind,
    .schemes = schemes,
    .options = options,
    .own_size = sizeof(struct clickhouse_options),
    .answers = http_answers_only,
    .reserved = "query|input_format_skip_unknown_fields|date_time_input_format|"
                "wait_for_async_insert|insert_deduplication_token",
    .defaults = "sd=true",
    .set_defaults = set_defaults,
    .settle = settle,
    .add_target = add_target,
    .describe = describe,
};
