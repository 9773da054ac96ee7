/*
 * Reads a _bulk answer (docs/formats.md#bulk-answer):
 *
 *   {"took":30,"errors":true,"items":[{"create":{"_id":"…","status":429,"error":{"type":"…"}}},…]}
 *
 * There is one item for each record, in the order of the request. Some servers (VictoriaLogs) put
 * no _id into an item, or an id of their own. Where there is one, it is compared with the id that
 * was sent in its place; an item of another record would assign that record's fate to this one. The
 * name of the action ("create") is ignored: some servers answer "index" to everything.
 *
 * An answer that is complete and does not say what became of each record is no accident: the server
 * is not what the URL says, and would answer the same again. So that is a HOLD.
 *
 * The text is parsed in place. The parser needs a few bytes for each level, and there are at most
 * DEPTH_MAX levels. Errors quote nothing of it but the type of an item's error.
 */
#include "drains/members/bulk_answer.h"

#include <errno.h>
#include <stdlib.h>
#include <yajl/yajl_parse.h>

#include "base/mem.h"

#define DEPTH_MAX 64
#define TYPE_MAX 64 /* a longer type is none that we know */

/* ---- statuses ---- */

static const struct answer_row rows[] = {
    {.from = 200, .to = 201, .verdict = VERDICT_DELIVERED, .reason = ""},
    {.from = 409,
     .to = 409,
     .text = "version_conflict_engine_exception",
     .verdict = VERDICT_DELIVERED,
     .reason = "it is there already"},
    {.from = 409,
     .to = 409,
     .text = "",
     .verdict = VERDICT_DELIVERED,
     .reason = "it is there already"},
    {.from = 409, .to = 409, .verdict = VERDICT_RETRY, .reason = "conflict"},
    {.from = 401, .to = 401, .verdict = VERDICT_HOLD, .reason = "credentials are missing or wrong"},
    {.from = 403, .to = 403, .verdict = VERDICT_HOLD, .reason = "not allowed"},
    {.from = 404, .to = 404, .verdict = VERDICT_HOLD, .reason = "no such index"},
    /* Any record would get these: the index is the cause. */
    {.from = 400,
     .to = 400,
     .text = "index_closed_exception",
     .verdict = VERDICT_HOLD,
     .reason = "the index is closed"},
    {.from = 400,
     .to = 400,
     .text = "invalid_index_name_exception",
     .verdict = VERDICT_HOLD,
     .reason = "the index's name is not legal"},
    {.from = 400,
     .to = 400,
     .text = "index_not_found_exception",
     .verdict = VERDICT_HOLD,
     .reason = "no such index"},
    {.from = 400,
     .to = 400,
     .text = "validation_exception",
     .verdict = VERDICT_HOLD,
     .reason = "the cluster takes no new index"},
    {.from = 408, .to = 408, .verdict = VERDICT_RETRY, .reason = "timeout"},
    {.from = 429, .to = 429, .verdict = VERDICT_RETRY, .reason = "too many requests"},
    {.from = 400, .to = 499, .verdict = VERDICT_REJECTED, .reason = "refused"},
    {.from = 500, .to = 599, .verdict = VERDICT_RETRY, .reason = "server error"},
    {.from = INT32_MIN, .to = INT32_MAX, .verdict = VERDICT_RETRY, .reason = "not a final status"},
    {.reason = NULL},
};

const struct answer_table bulk_items = {.what = "item status", .rows = rows};

/* ---- the text ---- */

/* The parser's place, and the last key there. */
enum place { AT_NOTHING = 0, AT_TOP, AT_ITEMS, AT_ITEM, AT_RESULT, AT_ERROR, AT_END };
enum key { KEY_OTHER = 0, KEY_ITEMS, KEY_ACTION, KEY_ID, KEY_STATUS, KEY_ERROR, KEY_TYPE };

struct bulk_reader {
    struct str request; /* the part that has no answer yet */
    uint32_t records, next;
    unsigned char *outcomes;
    struct err *why, *refusal;
    enum verdict sum;
    enum place at;
    enum key key;
    unsigned skip; /* levels inside of a value that is ignored */
    bool has_items;
    bool has_id, has_status, has_result; /* of the current item */
    struct str id;                       /* that was sent in this place */
    int status;
    size_t type_len;
    char type[TYPE_MAX];
    const char *wrong; /* why the answer is invalid */
    bool broken;       /* the answer ends too early */
};

enum { STOP = 0, GO_ON = 1 };

static int wrong(struct bulk_reader *r, const char *what)
{
    if (!r->wrong)
        r->wrong = what;
    return STOP;
}

/* The id in the next action of the request. We wrote the request ourselves: …"_id":"<id>"}}. */
static struct str next_id(struct bulk_reader *r)
{
    struct str action, document;

    if (!str_cut(&r->request, '\n', &action) || !str_cut(&r->request, '\n', &document))
        BUG("elastic: a request of fewer than %u records", r->records);
    action = str_head(action, action.len - 3);
    return str_skip(action, (size_t)(str_rfind(action, '"') + 1));
}

/* An empty id counts as missing. */
static int on_id(struct bulk_reader *r, struct str id)
{
    if (r->has_id)
        return wrong(r, "an item has two ids");
    r->has_id = true;
    return !id.len || str_eq(id, r->id) ? GO_ON
                                        : wrong(r, "its items are not those that were sent");
}

/* "http item status 400: refused (mapper_parsing_exception)" */
static void explain(const struct bulk_reader *r, const struct answer_row *row, struct err *e)
{
    bool known = r->type_len > 0;

    for (size_t i = 0; i < r->type_len; i++)
        known = known && ((r->type[i] >= 'a' && r->type[i] <= 'z') || r->type[i] == '_');
    (void)err_set(e, EPROTO, "item status %d: %s%s%.*s%s", r->status, row->reason,
                  known ? " (" : "", known ? (int)r->type_len : 0, r->type, known ? ")" : "");
}

static int end_item(struct bulk_reader *r)
{
    const struct answer_row *row;

    if (!r->has_status)
        return wrong(r, "an item has no status");
    row = answer_find(&bulk_items, r->status, str_make(r->type, r->type_len));
    r->outcomes[r->next++] = (unsigned char)row->verdict;
    if (row->verdict == VERDICT_DELIVERED)
        return GO_ON;
    r->sum = VERDICT_MIXED;
    if (row->verdict == VERDICT_REJECTED) {
        if (!r->refusal->code)
            explain(r, row, r->refusal);
    } else if (!r->why->code || row->verdict == VERDICT_HOLD) {
        explain(r, row, r->why);
    }
    return GO_ON;
}

static int begin_item(struct bulk_reader *r)
{
    if (r->next >= r->records)
        return wrong(r, "it has more items than were sent");
    r->at = AT_ITEM;
    r->id = next_id(r);
    r->has_id = r->has_status = r->has_result = false;
    r->type_len = 0;
    return GO_ON;
}

static enum key key_of(enum place at, struct str name)
{
    static const struct {
        enum place at;
        enum key key;
        const char *name;
    } keys[] = {
        {AT_TOP, KEY_ITEMS, "items"},      {AT_ITEM, KEY_ACTION, "create"},
        {AT_ITEM, KEY_ACTION, "index"},    {AT_RESULT, KEY_ID, "_id"},
        {AT_RESULT, KEY_STATUS, "status"}, {AT_RESULT, KEY_ERROR, "error"},
        {AT_ERROR, KEY_TYPE, "type"},
    };

    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (keys[i].at == at && str_eq(name, str_of(keys[i].name)))
            return keys[i].key;
    return KEY_OTHER;
}

/* ---- yajl's callbacks ---- */

static int on_key(void *arg, const unsigned char *p, size_t n)
{
    struct bulk_reader *r = arg;

    if (!r->skip)
        r->key = key_of(r->at, str_make((const char *)p, n));
    return GO_ON;
}

/* A scalar where a list or an object is expected. */
static int on_scalar(struct bulk_reader *r)
{
    if (r->skip)
        return GO_ON;
    if (r->at == AT_NOTHING || r->at == AT_ITEMS || r->at == AT_ITEM || r->key == KEY_ITEMS ||
        r->key == KEY_ID || r->key == KEY_STATUS)
        return wrong(r, "unexpected structure");
    return GO_ON;
}

static int on_string(void *arg, const unsigned char *p, size_t n)
{
    struct bulk_reader *r = arg;
    struct str s = str_make((const char *)p, n);

    if (r->skip || (r->key != KEY_ID && r->key != KEY_TYPE) ||
        (r->at != AT_RESULT && r->at != AT_ERROR))
        return on_scalar(r);
    if (r->key == KEY_ID)
        return on_id(r, s);
    if (s.len > TYPE_MAX)
        s = STR("?");
    r->type_len = s.len;
    memcpy(r->type, s.p, r->type_len);
    return GO_ON;
}

static int on_number(void *arg, const char *p, size_t n)
{
    struct bulk_reader *r = arg;
    uint64_t status;

    if (r->skip || r->at != AT_RESULT || r->key != KEY_STATUS)
        return on_scalar(r);
    if (r->has_status || !str_to_u64(str_make(p, n), 999, &status))
        return wrong(r, "an item's status is invalid");
    r->has_status = true;
    r->status = (int)status;
    return GO_ON;
}

static int on_bool(void *arg, int value)
{
    (void)value;
    return on_scalar(arg);
}

static int on_null(void *arg)
{
    struct bulk_reader *r = arg;

    if (!r->skip && r->at == AT_RESULT && r->key == KEY_ID)
        return on_id(r, STR(""));
    return on_scalar(r);
}

static int deeper(struct bulk_reader *r)
{
    return ++r->skip < DEPTH_MAX ? GO_ON : wrong(r, "it is nested too deep");
}

static int on_map(void *arg)
{
    struct bulk_reader *r = arg;

    if (r->skip)
        return deeper(r);
    if (r->at == AT_NOTHING)
        r->at = AT_TOP;
    else if (r->at == AT_ITEMS)
        return begin_item(r);
    else if (r->at == AT_ITEM && r->key == KEY_ACTION && !r->has_result)
        r->at = AT_RESULT;
    else if (r->at == AT_RESULT && r->key == KEY_ERROR)
        r->at = AT_ERROR;
    else if (r->at == AT_ITEM || r->key != KEY_OTHER)
        return wrong(r, "unexpected structure");
    else
        return deeper(r);
    r->key = KEY_OTHER;
    return GO_ON;
}

static int on_map_end(void *arg)
{
    struct bulk_reader *r = arg;

    if (r->skip) {
        r->skip--;
        return GO_ON;
    }
    r->key = KEY_OTHER;
    switch (r->at) {
    case AT_ERROR:
        r->at = AT_RESULT;
        return GO_ON;
    case AT_RESULT:
        r->at = AT_ITEM;
        r->has_result = true;
        return GO_ON;
    case AT_ITEM:
        r->at = AT_ITEMS;
        return end_item(r);
    default:
        r->at = AT_END;
        return GO_ON;
    }
}

static int on_array(void *arg)
{
    struct bulk_reader *r = arg;

    if (r->skip)
        return deeper(r);
    if (r->at == AT_TOP && r->key == KEY_ITEMS && !r->has_items) {
        r->has_items = true;
        r->at = AT_ITEMS;
        return GO_ON;
    }
    if (r->at == AT_NOTHING || r->at == AT_ITEMS || r->at == AT_ITEM || r->key != KEY_OTHER)
        return wrong(r, "unexpected structure");
    return deeper(r);
}

static int on_array_end(void *arg)
{
    struct bulk_reader *r = arg;

    if (r->skip) {
        r->skip--;
        return GO_ON;
    }
    r->at = AT_TOP;
    r->key = KEY_OTHER;
    return GO_ON;
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_bool,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_map,
    .yajl_map_key = on_key,
    .yajl_end_map = on_map_end,
    .yajl_start_array = on_array,
    .yajl_end_array = on_array_end,
};

enum verdict bulk_answer_read(struct str answer, struct str request, uint32_t records,
                              unsigned char *outcomes, struct err *why, struct err *refusal)
{
    struct bulk_reader r = {.request = request,
                            .records = records,
                            .outcomes = outcomes,
                            .why = why,
                            .refusal = refusal,
                            .sum = VERDICT_DELIVERED};
    yajl_handle y = yajl_alloc(&callbacks, NULL, &r);
    yajl_status status;

    if (!y)
        BUG("elastic: out of memory");
    status = yajl_parse(y, (const unsigned char *)answer.p, answer.len);
    if (status == yajl_status_ok) {
        status = yajl_complete_parse(y);
        r.broken = status != yajl_status_ok && r.at != AT_NOTHING;
    }
    yajl_free(y);
    if (r.broken)
        (void)wrong(&r, "it ends early");
    else if (status != yajl_status_ok)
        (void)wrong(&r, answer.len ? "it is not JSON" : "it is empty");
    else if (!r.has_items)
        (void)wrong(&r, "it has no items");
    else if (r.next < records)
        (void)wrong(&r, "it has fewer items than were sent");
    if (!r.wrong)
        return r.sum;
    (void)err_set(why, EPROTO, "not an answer to a bulk request: %s", r.wrong);
    return r.broken ? VERDICT_RETRY : VERDICT_HOLD;
}
