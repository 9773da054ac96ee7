/* How many records an OTLP receiver rejected of a request that it took, in both encodings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../../lib/unit.h"
#include "base/mem.h"
#include "drains/members/otlp_answer.h"

static void answers(void **state)
{
    static const struct {
        struct str body;
        uint64_t want;
    } rows[] = {
        {{"", 0}, 0},
        {{"\x0a\x00", 2}, 0},
        {{"\x0a\x02\x08\x07", 4}, 7},
        {{"\x0a\x03\x08\xac\x02", 5}, 300},
        {{"\x0a\x09\x08\x07\x12\x05stale", 11}, 7},
        {{"\x0a\x09\x12\x05stale\x08\x07", 11}, 7}, /* fields come in any order */
        {{"\x0a\x05\x12\x03hey", 7}, 0},            /* a warning */
        {{"\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13}, 0}, /* -1 */
        {{"\x0a\x0a\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 12}, INT64_MAX},
        {{"\x12\x02\x08\x07\x0a\x02\x08\x05", 8}, 5}, /* a field that is not known */
        {{"\x11xxxxxxxx\x0a\x02\x08\x05", 13}, 5},    /* ... of each other type */
        {{"\x15xxxx\x0a\x02\x08\x05", 9}, 5},
        {{"\x10\x01\x0a\x02\x08\x05", 6}, 5},
        {{"\x0a\x40\x08\x07\x12\x30st", 8}, 7}, /* breaks off behind it */
        {{"\x0a\x40\x08", 3}, 0},               /* ... or before */
        {{"\x0a", 1}, 0},
        {{"\x0a\x02\x0b\x07", 4}, 0},
        {{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11}, 0},
        {{"\x11xx", 3}, 0},
        {{"OK", 2}, 0},
        {{"<html>", 6}, 0},
    };
    static const struct {
        const char *body;
        uint64_t want;
    } json[] = {
        {"{}", 0},
        {"{\"partialSuccess\":{}}", 0},
        {"{\"partialSuccess\":{\"rejectedLogRecords\":\"7\",\"errorMessage\":\"stale\"}}", 7},
        {"{\"partialSuccess\":{\"rejectedLogRecords\":7}}", 7},
        {" \n{ \"partial_success\" : { \"rejected_log_records\" : \"300\" } }", 300},
        {"{\"partialSuccess\":{\"errorMessage\":\"\\\"rejectedLogRecords\\\":7\"}}", 0},
        {"{\"partialSuccess\":{\"rejectedLogRecords\":\"-1\"}}", 0},
        {"{\"partialSuccess\":{\"rejectedLogRecords\":\"9223372036854775808\"}}", 0},
        {"{\"partialSuccess\":{\"rejectedLogRecords\":null}}", 0},
        {"{\"partialSuccess\":{\"rejectedLogRecords\"", 0},
        {"{\"partialSuccess\":{\"rejectedLogRecords\":", 0},
    };

    (void)state;
    FOR_ROWS (i, rows)
        assert_int_equal(otlp_answer_rejected(rows[i].body), rows[i].want);
    FOR_ROWS (i, json)
        assert_int_equal(otlp_answer_rejected(str_of(json[i].body)), json[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
