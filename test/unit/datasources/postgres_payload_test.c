/* Payloads of notifications: the predecessor's three forms, ours, and invalid ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../lib/unit.h"
#include "datasources/postgres_payload.h"

#define A "8b4ff3f0-4f6b-4c0e-9d5e-0c3f8b4ff3f0"
#define B "73e81dcd-45e6-45cf-bb8e-23e90e2fd24b"
#define ROW(id)                                                                                    \
    "{\"drain\":\"" id "\",\"hostname\":\"a.b\",\"endpoint\":\"http://u:p@h/?x={\\\"}\","          \
    "\"created\":\"2020-11-03T11:35:50.330592-07:00\",\"updated\":null}"

static void ids_are_found(void **state)
{
    static const struct {
        const char *payload;
        const char *ids[2];
    } rows[] = {
        {ROW(A), {A, NULL}},
        {"{\"old\":" ROW(A) ",\"new\":" ROW(A) "}", {A, NULL}},
        {"{\"old\":" ROW(A) ",\"new\":" ROW(B) "}", {A, B}},
        {"{\"new\":" ROW(B) ", \"old\":" ROW(A) "}", {A, B}},
        {" {\t\"drain\" :\n\"" A "\"\r} ", {A, NULL}},
        {"{\"old\" : {\"drain\" : \"" A "\"}, \"new\" : {\"drain\" : \"" B "\"}}", {A, B}},
        {"{\"x\":[{},[],1.5e+3,true,false,null,{\"drain\":1}],\"drain\":\"" A "\"}", {A, NULL}},
        {"{\"drain\":\"8B4FF3F0-4f6b-4C0E-9d5e-0c3F8B4ff3f0\"}", {A, NULL}},
        {"{\"y\":{\"drain\":\"" B "\"},\"drain\":\"" A "\"}", {A, NULL}},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        unsigned want = rows[i].ids[1] ? 2 : 1;
        struct pg_id ids[2];
        char text[PG_ID_TEXT_SIZE];

        assert_int_equal(pg_payload_ids(str_of(rows[i].payload), ids), want);
        for (unsigned k = 0; k < want; k++) {
            pg_id_format(&ids[k], text);
            assert_string_equal(text, rows[i].ids[k]);
        }
    }
}

static void the_rest_says_nothing(void **state)
{
    static const char *const payloads[] = {
        "",
        " ",
        "{",
        "}",
        "{}",
        "[]",
        "null",
        A,
        "\"" A "\"",
        "[" ROW(A) "]",
        "{\"drain\":null}",
        "{\"drain\":1}",
        "{\"drain\":\"\"}",
        "{\"drain\":\"" A "x\"}",
        "{\"drain\":\"" A "\"",
        "{\"drain\":\"" A "\",}",
        "{\"drain\":\"" A "\"}}",
        "{\"drain\":\"" A "\"} " ROW(B),
        "{\"drain\" \"" A "\"}",
        "{drain:\"" A "\"}",
        "{\"Drain\":\"" A "\"}",
        "{\"drain\":\"" A "\",\"hostname\":\"unterminated}",
        "{\"drain\":\"" A "\",\"x\":[1,}",
        "{\"drain\":\"" A "\",\"x\":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]}",
        "{\"drain\":\"8b4ff3f0x4f6b-4c0e-9d5e-0c3f8b4ff3f0\"}",
        "{\"drain\":\"8b4ff3f0-4f6b-4c0e-9d5e-0c3f8b4ff3g0\"}",
        "{\"drain\":\"8b4ff3f0\\u002d4f6b-4c0e-9d5e-0c3f8b4ff3f0\"}",
        "{\"old\":" ROW(A) "}",
        "{\"new\":" ROW(A) "}",
        "{\"old\":" ROW(A) ",\"new\":{}}",
        "{\"old\":null,\"new\":" ROW(A) "}",
    };
    struct pg_id ids[2];

    (void)state;
    for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
        unsigned n = pg_payload_ids(str_of(payloads[i]), ids);

        if (n)
            print_error("%s\n", payloads[i]);
        assert_int_equal(n, 0);
    }
    assert_int_equal(pg_payload_ids(str_make("{\"a\":\0}", 7), ids), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_found),
        cmocka_unit_test(the_rest_says_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
