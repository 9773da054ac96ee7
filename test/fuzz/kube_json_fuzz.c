/*
 * Any bytes as JSON. Invariants:
 *
 *   - the tokens do not depend on how the bytes are split;
 *   - yajl accepts and refuses the same objects and arrays;
 *   - emitted objects and arrays begin and end in pairs, and no text is longer than its cap.
 */
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "base/buf.h"
#include "fuzz.h"
#include "kube/json.h"

#define TEXT_MAX 64

struct log {
    struct json json;
    struct buf text;
    unsigned open;
};

static void on_token(void *arg, enum json_token t, struct str text, bool cut)
{
    struct log *l = arg;

    FUZZ_CHECK(text.len <= TEXT_MAX);
    FUZZ_CHECK(!cut || t == JSON_KEY || t == JSON_STRING || t == JSON_NUMBER);
    l->open += t == JSON_OBJECT || t == JSON_ARRAY;
    if (t == JSON_OBJECT_END || t == JSON_ARRAY_END) {
        FUZZ_CHECK(l->open > 0);
        l->open--;
    }
    FUZZ_CHECK(buf_addf(&l->text, "%d%d:", t, cut) == 0);
    FUZZ_CHECK(buf_add_str(&l->text, text) == 0);
    if (t == JSON_KEY && text.len && text.p[0] == 's')
        json_skip(&l->json);
}

static enum json_result feed(struct log *l, const uint8_t *data, size_t size, size_t step,
                             size_t *used)
{
    enum json_result rc = JSON_MORE;

    memset(l, 0, sizeof(*l));
    buf_init(&l->text, (size_t)64 * 1024 * 1024);
    json_init(&l->json, TEXT_MAX, on_token, l);
    for (*used = 0; *used < size && rc == JSON_MORE;) {
        size_t n = size - *used < step ? size - *used : step, taken;

        rc = json_feed(&l->json, (const char *)data + *used, n, &taken);
        FUZZ_CHECK(taken == n || rc != JSON_MORE);
        *used += taken;
    }
    FUZZ_CHECK(rc != JSON_DONE || l->open == 0);
    return rc;
}

/* Whether yajl accepts the first <n> bytes as a whole value. */
static bool yajl_takes(const uint8_t *data, size_t n)
{
    yajl_handle h = yajl_alloc(NULL, NULL, NULL);
    bool ok;

    FUZZ_CHECK(h != NULL);
    (void)yajl_config(h, yajl_dont_validate_strings, 1);
    ok = yajl_parse(h, data, n) == yajl_status_ok && yajl_complete_parse(h) == yajl_status_ok;
    yajl_free(h);
    return ok;
}

static bool is_container(const uint8_t *data, size_t size)
{
    size_t i = 0;

    while (i < size && strchr(" \t\r\n", data[i]) && data[i])
        i++;
    return i < size && (data[i] == '{' || data[i] == '[');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t steps[] = {1, 2, 3, 7, 64};
    struct log whole, part;
    size_t used, part_used;
    enum json_result rc = feed(&whole, data, size, size ? size : 1, &used);

    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        FUZZ_CHECK(feed(&part, data, size, steps[i], &part_used) == rc);
        FUZZ_CHECK(part_used == used);
        FUZZ_CHECK(str_eq(buf_str(&part.text), buf_str(&whole.text)));
        json_release(&part.json);
        buf_release(&part.text);
    }
    if (is_container(data, size) && !whole.json.too_deep) {
        if (rc == JSON_DONE)
            FUZZ_CHECK(yajl_takes(data, used));
        else
            FUZZ_CHECK(!yajl_takes(data, size));
    }
    json_release(&whole.json);
    buf_release(&whole.text);
    return 0;
}
