/*
 * What a _bulk answer says about each record (docs/faults.md D18), and all invalid answers (D19).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "../../../lib/unit.h"
#include "base/mem.h"
#include "drains/members/bulk_answer.h"

#define RECORDS_MAX 8

/* A request of <n> records as the format writes them, with the ids "a-0", "a-1", … */
static void make_request(struct buf *out, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(buf_addf(out,
                                  "{\"create\":{\"_index\":\"web.shop\",\"_id\":\"a-%u\"}}\n"
                                  "{\"message\":\"\\\"_id\\\":\\\"a-%u\\\"}}\"}\n",
                                  i, i + 1),
                         0);
}

struct answered {
    enum verdict verdict;
    char outcomes[RECORDS_MAX + 1]; /* a letter each */
    struct err why, refusal;
};

/* d delivered, x rejected, r retry, h hold, - missing */
static struct answered ask(const char *answer, unsigned records)
{
    static const char letters[] = {[VERDICT_DELIVERED] = 'd',
                                   [VERDICT_RETRY] = 'r',
                                   [VERDICT_REJECTED] = 'x',
                                   [VERDICT_HOLD] = 'h'};
    unsigned char *outcomes = calloc(1, records ? records : 1); /* of just that size */
    struct answered a = {.verdict = 0};
    struct buf request = BUF_INIT(1 << 16);

    make_request(&request, records);
    a.verdict =
        bulk_answer_read(str_of(answer), buf_str(&request), records, outcomes, &a.why, &a.refusal);
    for (unsigned i = 0; i < records; i++)
        a.outcomes[i] = outcomes[i] ? letters[outcomes[i]] : '-';
    free(outcomes);
    buf_release(&request);
    return a;
}

#define ITEM(id, rest) "{\"create\":{\"_id\":\"a-" #id "\"," rest "}}"
#define STATUS(id, status) ITEM(id, "\"status\":" #status)
#define PLAIN(status) "{\"create\":{\"status\":" #status "}}"
#define ERROR(id, status, type)                                                                    \
    ITEM(id, "\"status\":" #status ",\"error\":{\"type\":\"" type "\",\"reason\":\"secret\"}")

static void test_D18_each_record_has_its_own(void **state)
{
    struct answered a;

    (void)state;
    a = ask("{\"items\":[" STATUS(0, 201) "," STATUS(1, 200) "]}", 2);
    assert_int_equal(a.verdict, VERDICT_DELIVERED);
    assert_string_equal(a.outcomes, "dd");
    assert_int_equal(a.why.code, 0);

    a = ask(
        "{\"took\":3,\"errors\":true,\"items\":[" STATUS(0, 201) "," ERROR(1, 409, "version_conflict_engine_exception") "," ERROR(
            2, 429,
            "es_rejected_execution_exception") "," ERROR(3, 503,
                                                         "unavailable") "," ERROR(4, 400,
                                                                                  "mapper_parsing_"
                                                                                  "exception") "," ERROR(5,
                                                                                                         403,
                                                                                                         "cluster_block_exception") "," STATUS(6,
                                                                                                                                               201) "]}",
        7);
    assert_int_equal(a.verdict, VERDICT_MIXED);
    assert_string_equal(a.outcomes, "ddrrxhd");
    assert_string_equal(a.why.text, "item status 403: not allowed (cluster_block_exception)");
    assert_string_equal(a.refusal.text, "item status 400: refused (mapper_parsing_exception)");

    a = ask("{\"items\":[" ERROR(0, 400, "illegal_argument_exception") "]}", 1);
    assert_int_equal(a.verdict, VERDICT_MIXED);
    assert_string_equal(a.outcomes, "x");
    assert_int_equal(a.why.code, 0);

    /* the error of the first waiting record is used, unless another one is HOLD */
    a = ask("{\"items\":[" ERROR(0, 503, "one") "," ERROR(1, 429, "two") "]}", 2);
    assert_string_equal(a.why.text, "item status 503: server error (one)");
}

static void items_in_all_their_forms(void **state)
{
    static const char *const same[] = {
        /* everything that Elasticsearch sends without filter_path */
        "{\"took\":30,\"errors\":false,\"items\":[{\"create\":{\"_index\":\"web.shop\",\"_type\":"
        "\"_doc\",\"_id\":\"a-0\",\"_version\":1,\"result\":\"created\",\"_shards\":{\"total\":2,"
        "\"successful\":1,\"failed\":0},\"_seq_no\":0,\"_primary_term\":1,\"status\":201}}]}",
        /* other things in other orders, some with names that matter elsewhere */
        " { \"x\" : [ { \"items\" : [ 1 ] } , [ ] , null ] , \"items\" : [ { \"create\" : "
        "{ \"status\" : 201 , \"a\" : { \"_id\" : \"no\" , \"status\" : 500 } , \"_id\" : \"a-0\" ,"
        " \"type\" : \"t\" , \"create\" : [ { } ] } } ] , "
        "\"status\" : 500 , \"error\" : \"no\" } \n",
        "{\"items\":[{\"create\":{\"\\u005fid\":\"\\u0061-0\",\"status\":201,\"error\":null}}]}",
        "{\"items\":[{\"create\":{\"_id\":\"a-0\",\"status\":409,\"error\":\"a text, once\"}}]}",
        "{\"items\":[{\"create\":{\"_id\":\"a-0\",\"status\":409}}]}",
    };

    (void)state;
    FOR_ROWS (i, same) {
        struct answered a = ask(same[i], 1);

        if (a.verdict != VERDICT_DELIVERED)
            fail_msg("%s: %s", same[i], a.why.text);
    }
    assert_int_equal(ask("{\"items\":[]}", 0).verdict, VERDICT_DELIVERED);
}

/* The result of every record is unknown, and the error says why. */
static void test_D19_no_answer_to_this_request(void **state)
{
    static const struct {
        const char *answer, *why;
    } rows[] = {
        {"", "it is empty"},
        {" \r\n", "it is not JSON"},
        {"OK", "it is not JSON"},
        {"<html><body>It works!</body></html>", "it is not JSON"},
        {"{\"items\":[" STATUS(0, 201) "," STATUS(1, 201) "]}}", "it is not JSON"},
        {"{\"items\":[" STATUS(0, 201) "," STATUS(1, 201) "]}{\"items\":[]}", "it is not JSON"},
        {"{\"items\":[" STATUS(0, 201) "," STATUS(1, 201) "],\"x\":\"\xff\"}", "it is not JSON"},
        {"{}", "it has no items"},
        {"{\"took\":1,\"errors\":false}", "it has no items"},
        {"{\"errors\":{\"items\":[" STATUS(0, 201) "," STATUS(1, 201) "]}}", "it has no items"},
        {"{\"items\":[]}", "it has fewer items than were sent"},
        {"{\"items\":[" STATUS(0, 201) "]}", "it has fewer items than were sent"},
        {"{\"items\":[" STATUS(1, 201) "," STATUS(0, 201) "]}",
         "its items are not those that were sent"},
        {"{\"items\":[" STATUS(0, 201) "," STATUS(0, 201) "]}",
         "its items are not those that were sent"},
        {"{\"items\":[" STATUS(0, 201) "," STATUS(2, 201) "]}",
         "its items are not those that were sent"},
        {"{\"items\":[" STATUS(0, 201) "," STATUS(1, 201) "," STATUS(2, 201) "]}",
         "it has more items than were sent"},
        {"{\"items\":[" STATUS(0, 201) "," STATUS(1, 201) "],\"items\":[]}",
         "unexpected structure"},
        {"[]", "unexpected structure"},
        {"null", "unexpected structure"},
        {"7", "unexpected structure"},
        {"\"items\"", "unexpected structure"},
        {"{\"items\":{}}", "unexpected structure"},
        {"{\"items\":7}", "unexpected structure"},
        {"{\"items\":[7]}", "unexpected structure"},
        {"{\"items\":[[]]}", "unexpected structure"},
        {"{\"items\":[null]}", "unexpected structure"},
        {"{\"items\":[{\"create\":7}]}", "unexpected structure"},
        {"{\"items\":[{\"create\":[]}]}", "unexpected structure"},
        {"{\"items\":[{\"delete\":{\"_id\":\"a-0\",\"status\":201}}]}", "unexpected structure"},
        {"{\"took\":1}", "it has no items"},
        {"{\"errors\":false}", "it has no items"},
        {"{\"took\":1,\"errors\":true}", "it has no items"},
        {"{\"items\":[{}]}", "an item has no status"},
        {"{\"items\":[{\"create\":{}}]}", "an item has no status"},
        {"{\"items\":[{\"create\":{\"_id\":\"a-0\"}}]}", "an item has no status"},
        {"{\"items\":[{\"create\":{\"status\":201}}]}", "it has fewer items than were sent"},
        {"{\"items\":[" PLAIN(201) "," PLAIN(201) "," PLAIN(201) "]}",
         "it has more items than were sent"},
        {"{\"items\":[" PLAIN(201) "," STATUS(0, 201) "]}",
         "its items are not those that were sent"},
        {"{\"items\":[" STATUS(1, 201) "," PLAIN(201) "]}",
         "its items are not those that were sent"},
        {"{\"items\":[{\"create\":{\"_id\":\"\",\"status\":201,\"_id\":\"a-0\"}}]}",
         "an item has two ids"},
        {"{\"items\":[" ITEM(0, "\"_id\":\"a-1\"") "]}", "an item has two ids"},
        {"{\"items\":[" ITEM(0, "\"status\":201,\"status\":500") "]}",
         "an item's status is invalid"},
        {"{\"items\":[{\"create\":{\"_id\":\"a-0\",\"status\":201},\"create\":{}}]}",
         "unexpected structure"},
        {"{\"items\":[{\"create\":{\"_id\":7}}]}", "unexpected structure"},
        {"{\"items\":[{\"create\":{\"_id\":[\"a-0\"]}}]}", "unexpected structure"},
        {"{\"items\":[" ITEM(0, "\"status\":\"201\"") "]}", "unexpected structure"},
        {"{\"items\":[" ITEM(0, "\"status\":true") "]}", "unexpected structure"},
        {"{\"items\":[" ITEM(0, "\"status\":-201") "]}", "an item's status is invalid"},
        {"{\"items\":[" ITEM(0, "\"status\":201.0") "]}", "an item's status is invalid"},
        {"{\"items\":[" ITEM(0, "\"status\":1e2") "]}", "an item's status is invalid"},
        {"{\"items\":[" ITEM(0, "\"status\":1201") "]}", "an item's status is invalid"},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        struct answered a = ask(rows[i].answer, 2);
        char want[200];

        (void)snprintf(want, sizeof(want), "not an answer to a bulk request: %s", rows[i].why);
        if (a.verdict != VERDICT_HOLD || strcmp(a.why.text, want) != 0)
            fail_msg("%s: verdict %d, '%s'", rows[i].answer, (int)a.verdict, a.why.text);
    }
}

/* Servers that name no ids, or none of ours, answer in the order of the request (VictoriaLogs). */
static void test_L10_items_without_ids_are_in_order(void **state)
{
    static const char *const all[] = {
        "{\"took\":1,\"errors\":false,\"items\":[" PLAIN(201) "," PLAIN(200) "]}",
        "{\"items\":[{\"create\":{\"_id\":\"\",\"status\":201}},{\"create\":{\"_id\":null,"
        "\"status\":201}}]}",
        "{\"items\":[{\"index\":{\"status\":201}},{\"index\":{\"status\":201}}]}",
        "{\"items\":[" STATUS(0, 201) "," PLAIN(201) "]}",
        "{\"items\":[" PLAIN(201) "," STATUS(1, 201) "]}",
    };
    struct answered a;

    (void)state;
    FOR_ROWS (i, all) {
        a = ask(all[i], 2);
        if (a.verdict != VERDICT_DELIVERED)
            fail_msg("%s: %s", all[i], a.why.text);
    }
    a = ask("{\"items\":[" PLAIN(201) "," PLAIN(400) "," PLAIN(429) "," PLAIN(409) "]}", 4);
    assert_int_equal(a.verdict, VERDICT_MIXED);
    assert_string_equal(a.outcomes, "dxrd");
}

/* What has no end may have come not whole. */
static void an_answer_that_breaks_off_is_asked_for_again(void **state)
{
    static const char text[] = "{\"items\":[" STATUS(0, 201) "," STATUS(1, 201) "]}";

    (void)state;
    for (size_t n = 1; n < sizeof(text) - 1; n++) {
        char part[sizeof(text)] = "";
        struct answered a;

        memcpy(part, text, n);
        a = ask(part, 2);
        if (a.verdict != VERDICT_RETRY)
            fail_msg("%s: verdict %d", part, (int)a.verdict);
        assert_string_equal(a.why.text, "not an answer to a bulk request: it ends early");
    }
}

static void nesting_is_bounded(void **state)
{
    struct buf b = BUF_INIT(1 << 22);
    struct answered a;

    (void)state;
    for (int open = 1; open <= 1000000; open *= 10) {
        buf_clear(&b);
        assert_int_equal(buf_add_str(&b, STR("{\"x\":")), 0);
        for (int i = 0; i < open; i++)
            assert_int_equal(buf_add_ch(&b, '['), 0);
        a = ask(buf_cstr(&b), 1);
        assert_int_equal(a.verdict, open < 100 ? VERDICT_RETRY : VERDICT_HOLD);
    }
    assert_string_equal(a.why.text, "not an answer to a bulk request: it is nested too deep");
    buf_release(&b);
}

static enum verdict outcome_of(int status, const char *type)
{
    char text[256];
    struct answered a;

    if (type)
        (void)snprintf(text, sizeof(text),
                       "{\"items\":[{\"create\":{\"_id\":\"a-0\",\"status\":%d,\"error\":"
                       "{\"type\":\"%s\"}}}]}",
                       status, type);
    else
        (void)snprintf(text, sizeof(text),
                       "{\"items\":[{\"create\":{\"_id\":\"a-0\",\"status\":%d}}]}", status);
    a = ask(text, 1);
    switch (a.outcomes[0]) {
    case 'd':
        assert_int_equal(a.verdict, VERDICT_DELIVERED);
        return VERDICT_DELIVERED;
    case 'x':
        assert_int_equal(a.verdict, VERDICT_MIXED);
        assert_int_not_equal(a.refusal.code, 0);
        return VERDICT_REJECTED;
    case 'r':
    case 'h':
        assert_int_equal(a.verdict, VERDICT_MIXED);
        assert_int_not_equal(a.why.code, 0);
        return a.outcomes[0] == 'r' ? VERDICT_RETRY : VERDICT_HOLD;
    default:
        fail_msg("status %d: '%s'", status, a.why.text);
        return 0;
    }
}

static void test_D18_every_status(void **state)
{
    static const struct {
        int status;
        const char *type;
        enum verdict want;
    } rows[] = {
        {200, NULL, VERDICT_DELIVERED},
        {201, NULL, VERDICT_DELIVERED},
        {202, NULL, VERDICT_RETRY},
        {0, NULL, VERDICT_RETRY},
        {100, NULL, VERDICT_RETRY},
        {301, NULL, VERDICT_RETRY},
        {999, NULL, VERDICT_RETRY},
        {400, NULL, VERDICT_REJECTED},
        {400, "mapper_parsing_exception", VERDICT_REJECTED},
        {400, "document_parsing_exception", VERDICT_REJECTED},
        {400, "strict_dynamic_mapping_exception", VERDICT_REJECTED},
        {400, "illegal_argument_exception", VERDICT_REJECTED},
        {400, "index_closed_exception", VERDICT_HOLD},
        {400, "invalid_index_name_exception", VERDICT_HOLD},
        {400, "validation_exception", VERDICT_HOLD}, /* no more shards allowed */
        {401, "security_exception", VERDICT_HOLD},
        {403, "security_exception", VERDICT_HOLD},
        {403, "cluster_block_exception", VERDICT_HOLD},
        {404, "index_not_found_exception", VERDICT_HOLD},
        {408, NULL, VERDICT_RETRY},
        {409, NULL, VERDICT_DELIVERED},
        {409, "version_conflict_engine_exception", VERDICT_DELIVERED},
        {409, "some_other_conflict", VERDICT_RETRY},
        {413, NULL, VERDICT_REJECTED},
        {418, NULL, VERDICT_REJECTED},
        {429, "es_rejected_execution_exception", VERDICT_RETRY},
        {429, "cluster_block_exception", VERDICT_RETRY}, /* the disk is full */
        {500, NULL, VERDICT_RETRY},
        {503, "unavailable_shards_exception", VERDICT_RETRY},
        {599, NULL, VERDICT_RETRY},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        enum verdict got = outcome_of(rows[i].status, rows[i].type);

        if (got != rows[i].want)
            fail_msg("%d %s: %d", rows[i].status, rows[i].type ? rows[i].type : "", (int)got);
    }
    for (int status = 0; status <= 999; status++)
        (void)outcome_of(status, NULL);
}

/* The peer's text is not quoted unless it looks like the name of an error. */
static void what_is_quoted(void **state)
{
    struct answered a;

    (void)state;
    a = ask("{\"items\":[" ERROR(0, 400, "the line: hunter2") "]}", 1);
    assert_string_equal(a.refusal.text, "item status 400: refused");
    a = ask("{\"items\":[" ERROR(0, 503, "\\u001b[0m") "]}", 1);
    assert_string_equal(a.why.text, "item status 503: server error");
    a = ask("{\"items\":[" ERROR(0, 400,
                                 "a_name_that_is_longer_than_any_error_that_anybody_ever_had_to_"
                                 "read_aloud") "]}",
            1);
    assert_string_equal(a.refusal.text, "item status 400: refused");
    assert_int_equal(outcome_of(409, "a_name_that_is_longer_than_any_error_that_anybody_ever_had_"
                                     "to_read_aloud"),
                     VERDICT_RETRY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_D18_each_record_has_its_own),
        cmocka_unit_test(items_in_all_their_forms),
        cmocka_unit_test(test_D19_no_answer_to_this_request),
        cmocka_unit_test(test_L10_items_without_ids_are_in_order),
        cmocka_unit_test(an_answer_that_breaks_off_is_asked_for_again),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(test_D18_every_status),
        cmocka_unit_test(what_is_quoted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
