/* The meaning of a Close, a refused upgrade and a Pong; credentials. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../../lib/unit.h"
#include "base/mem.h"
#include "drains/members/members.h"
#include "drains/members/ws_internal.h"

static void test_D22_close_codes(void **state)
{
    static const struct {
        unsigned code;
        enum verdict first;
        bool hold, clean;
    } rows[] = {
        {1000, VERDICT_OFFLINE, false, true},  {1001, VERDICT_OFFLINE, false, true},
        {1002, VERDICT_OFFLINE, false, false}, {1003, VERDICT_OFFLINE, true, false},
        {1005, VERDICT_OFFLINE, false, true},  {1007, VERDICT_REJECTED, false, false},
        {1008, VERDICT_OFFLINE, true, false},  {1009, VERDICT_TOO_LARGE, false, false},
        {1010, VERDICT_OFFLINE, true, false},  {1011, VERDICT_OFFLINE, false, false},
        {1012, VERDICT_OFFLINE, false, false}, {1013, VERDICT_OFFLINE, false, false},
        {1014, VERDICT_OFFLINE, false, false}, {3000, VERDICT_OFFLINE, false, false},
        {4401, VERDICT_OFFLINE, false, false}, {0, VERDICT_OFFLINE, false, false},
    };
    size_t n = 0;

    (void)state;
    FOR_ROWS (i, rows) {
        const struct answer_row *r = answer_find(&ws_closes, (int)rows[i].code, STR(""));

        assert_int_equal(r->verdict, rows[i].hold ? VERDICT_HOLD : rows[i].first);
        assert_int_equal(!!(r->flags & WS_CLEAN), rows[i].clean);
        assert_true(r->reason[0]);
    }
    for (const struct answer_row *r = ws_closes.rows; r->reason; r++)
        n++;
    assert_int_equal(n, 14);
}

static void refused_upgrades(void **state)
{
    static const struct {
        int status;
        enum verdict verdict;
        const char *why;
    } rows[] = {
        {200, VERDICT_HOLD, "http status 200: not a websocket"},
        {302, VERDICT_HOLD, "http status 302: redirects are not followed"},
        {400, VERDICT_HOLD, "http status 400: bad request"},
        {401, VERDICT_HOLD, "http status 401: credentials are missing or wrong"},
        {403, VERDICT_HOLD, "http status 403: not allowed"},
        {404, VERDICT_HOLD, "http status 404: no such path"},
        {413, VERDICT_HOLD, "http status 413: body too large"},
        {426, VERDICT_HOLD, "http status 426: another protocol is required"},
        {429, VERDICT_OFFLINE, "http status 429: too many requests"},
        {500, VERDICT_OFFLINE, "http status 500: server error"},
        {503, VERDICT_OFFLINE, "http status 503: unavailable"},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        struct err why = {0, ""};

        assert_int_equal(ws_refusal(rows[i].status, &why), rows[i].verdict);
        assert_string_equal(why.text, rows[i].why);
    }
}

static void pongs(void **state)
{
    (void)state;
    assert_int_equal(ws_pong_number(STR("17")), 17);
    assert_int_equal(ws_pong_number(STR("18446744073709551615")), UINT64_MAX);
    assert_int_equal(ws_pong_number(STR("")), 0);
    assert_int_equal(ws_pong_number(STR("0")), 0);
    assert_int_equal(ws_pong_number(STR("17 ")), 0);
    assert_int_equal(ws_pong_number(STR("-1")), 0);
    assert_int_equal(ws_pong_number(STR("99999999999999999999999999")), 0);
}

static void credentials(void **state)
{
    static const struct {
        const char *url, *want;
    } rows[] = {
        {"ws://h", ""},
        {"ws://Aladdin:open%20sesame@h", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
        {"ws://u@h", "Basic dTo="},
        {"wss://h?token=abc.def", "Bearer abc.def"},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        struct err e;
        struct drain_spec *s = drain_spec_create(str_of(rows[i].url), &e);
        struct buf out = BUF_INIT(1000);

        assert_non_null(s);
        assert_int_equal(ws_authorization(&out, s), 0);
        assert_string_equal(buf_cstr(&out), rows[i].want);
        buf_release(&out);
        drain_spec_unref(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_D22_close_codes),
        cmocka_unit_test(refused_upgrades),
        cmocka_unit_test(pongs),
        cmocka_unit_test(credentials),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
