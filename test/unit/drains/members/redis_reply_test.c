/* Replies cut at every position, and the reader's limits (docs/faults.md D21). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "drains/members/redis_internal.h"

static void every_cut(void **state)
{
    static const char text[] =
        ":3\r\n+OK\r\n$15\r\n1526919030474-0\r\n-OOM command not allowed\r\n$-1\r\n:-7\r\n"
        "$0\r\n\r\n";
    static const enum redis_type types[] = {REDIS_INTEGER, REDIS_STATUS,  REDIS_BULK, REDIS_ERROR,
                                            REDIS_NIL,     REDIS_INTEGER, REDIS_BULK};

    (void)state;
    for (size_t step = 1; step < sizeof(text); step++) {
        struct redis_reader *r = redis_reader_create();
        struct err e = {0, ""};
        size_t n = 0;

        for (size_t at = 0; at < sizeof(text) - 1; at += step) {
            struct redis_reply reply;
            struct str in = str_head(str_skip(STR(text), at), step);

            assert_int_equal(redis_reader_feed(r, in, &e), 0);
            while (redis_reader_next(r, &reply, &e) == 1) {
                assert_true(n < ARRAY_LEN(types));
                assert_int_equal(reply.type, types[n]);
                if (n == 0 || n == 5)
                    assert_int_equal(reply.integer, n == 0 ? 3 : -7);
                assert_string_equal(reply.text, n == 1   ? "OK"
                                                : n == 3 ? "OOM command not allowed"
                                                         : "");
                n++;
            }
            assert_int_equal(e.code, 0);
        }
        assert_int_equal(n, ARRAY_LEN(types));
        redis_reader_free(r);
    }
}

static void long_errors_are_cut(void **state)
{
    struct redis_reader *r = redis_reader_create();
    struct redis_reply reply;
    struct err e = {0, ""};
    char text[5000];

    (void)state;
    memset(text, 'x', sizeof(text));
    text[0] = '-';
    memcpy(text + sizeof(text) - 2, "\r\n", 2);
    assert_int_equal(redis_reader_feed(r, str_make(text, sizeof(text)), &e), 0);
    assert_int_equal(redis_reader_next(r, &reply, &e), 1);
    assert_int_equal(strlen(reply.text), sizeof(reply.text) - 1);
    redis_reader_free(r);
}

static void refused(struct str in)
{
    struct redis_reader *r = redis_reader_create();
    struct redis_reply reply;
    struct err e = {0, ""};

    assert_int_equal(redis_reader_feed(r, in, &e), 0);
    assert_int_equal(redis_reader_next(r, &reply, &e), -1);
    assert_string_equal(e.text, "redis: unexpected type of reply");
    redis_reader_free(r);
}

static void test_D21_garbage(void **state)
{
    (void)state;
    refused(STR(">2\r\n+message\r\n+x\r\n")); /* a push of RESP3 */
    refused(STR("HTTP/1.1 400 Bad Request\r\n\r\n"));
    refused(STR("*1\r\n:1\r\n"));
    refused(STR("*1000000000\r\n"));
    refused(STR("*-2\r\n"));
    refused(STR("$x\r\n"));
    refused(STR(":12z\r\n"));
    refused(STR("\0\r\n"));
}

static void test_D21_huge_bulk(void **state)
{
    struct redis_reader *r = redis_reader_create();
    struct redis_reply reply;
    struct err e = {0, ""};
    static char part[4096];
    size_t fed = 0;
    int rc = 0;

    (void)state;
    memset(part, 'x', sizeof(part));
    assert_int_equal(redis_reader_feed(r, STR("$536870912\r\n"), &e), 0);
    while ((rc = redis_reader_next(r, &reply, &e)) == 0) {
        assert_int_equal(redis_reader_feed(r, str_make(part, sizeof(part)), &e), 0);
        fed += sizeof(part);
        assert_true(fed <= REDIS_REPLY_MAX + 2 * sizeof(part));
    }
    assert_int_equal(rc, -1);
    assert_string_equal(e.text, "redis: reply is over 65536 bytes");
    redis_reader_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut),
        cmocka_unit_test(long_errors_are_cut),
        cmocka_unit_test(test_D21_garbage),
        cmocka_unit_test(test_D21_huge_bulk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
