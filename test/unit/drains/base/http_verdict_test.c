/* The meaning of an HTTP server's answers (docs/faults.md D10-D16, each status). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>

#include "../../../lib/unit.h"
#include "base/mem.h"
#include "drains/base/http_post.h"

static enum verdict verdict_of(int status, struct err *why)
{
    struct http_answer a = {.status = status, .retry_after_ms = -1};

    return http_verdict(&http_answers, &a, NULL, why);
}

static void test_D10_to_D16_statuses(void **state)
{
    static const struct {
        int status;
        enum verdict want;
    } rows[] = {
        {200, VERDICT_DELIVERED}, {201, VERDICT_DELIVERED}, {202, VERDICT_DELIVERED},
        {204, VERDICT_DELIVERED}, {299, VERDICT_DELIVERED}, {300, VERDICT_HOLD},
        {301, VERDICT_HOLD},      {302, VERDICT_HOLD},      {303, VERDICT_HOLD},
        {304, VERDICT_HOLD},      {307, VERDICT_HOLD},      {308, VERDICT_HOLD},
        {399, VERDICT_HOLD},      {400, VERDICT_REJECTED},  {401, VERDICT_HOLD},
        {402, VERDICT_HOLD},      {403, VERDICT_HOLD},      {404, VERDICT_HOLD},
        {405, VERDICT_HOLD},      {406, VERDICT_HOLD},      {407, VERDICT_HOLD},
        {408, VERDICT_RETRY},     {409, VERDICT_REJECTED},  {410, VERDICT_HOLD},
        {411, VERDICT_HOLD},      {412, VERDICT_REJECTED},  {413, VERDICT_TOO_LARGE},
        {414, VERDICT_HOLD},      {415, VERDICT_HOLD},      {416, VERDICT_REJECTED},
        {417, VERDICT_HOLD},      {418, VERDICT_REJECTED},  {421, VERDICT_HOLD},
        {422, VERDICT_REJECTED},  {425, VERDICT_RETRY},     {426, VERDICT_HOLD},
        {429, VERDICT_RETRY},     {431, VERDICT_HOLD},      {451, VERDICT_HOLD},
        {499, VERDICT_REJECTED},  {500, VERDICT_RETRY},     {501, VERDICT_RETRY},
        {502, VERDICT_RETRY},     {503, VERDICT_RETRY},     {504, VERDICT_RETRY},
        {507, VERDICT_RETRY},     {599, VERDICT_RETRY},     {100, VERDICT_RETRY},
        {199, VERDICT_RETRY},     {600, VERDICT_RETRY},     {999, VERDICT_RETRY},
        {INT_MAX, VERDICT_RETRY}, {-1, VERDICT_RETRY},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        struct err why = {0, ""};

        if (verdict_of(rows[i].status, &why) != rows[i].want)
            fail_msg("status %d", rows[i].status);
        assert_int_equal(why.code == 0, rows[i].want == VERDICT_DELIVERED);
    }
}

static void every_row_can_be_met(void **state)
{
    (void)state;
    for (const struct answer_row *r = http_answer_rows; r->reason; r++) {
        struct err why = {0, ""};
        bool met = false;

        assert_true(r->from <= r->to);
        for (int s = r->from < -1 ? -1 : r->from; s <= (r->to > 1000 ? 1000 : r->to) && !met; s++)
            met = s != 0 && verdict_of(s, &why) == r->verdict &&
                  (!r->reason[0] || strstr(why.text, r->reason));
        if (!met)
            fail_msg("no status leads to '%s'", r->reason);
    }
}

static void texts(void **state)
{
    struct err why = {0, ""};

    (void)state;
    (void)verdict_of(503, &why);
    assert_string_equal(why.text, "http status 503: unavailable");
    (void)verdict_of(302, &why);
    assert_string_equal(why.text, "http status 302: redirects are not followed");
}

static void no_answer(void **state)
{
    static const struct {
        int code;
        bool refused;
        enum verdict want;
    } rows[] = {
        {ECONNREFUSED, false, VERDICT_OFFLINE}, {EHOSTUNREACH, false, VERDICT_OFFLINE},
        {ENOENT, false, VERDICT_OFFLINE},       {EPROTO, false, VERDICT_OFFLINE},
        {ENOMEM, false, VERDICT_OFFLINE},       {ETIMEDOUT, false, VERDICT_RETRY},
        {ECONNRESET, false, VERDICT_RETRY},     {EMSGSIZE, false, VERDICT_RETRY},
        {EINVAL, false, VERDICT_HOLD},          {EACCES, true, VERDICT_HOLD},
        {ECONNREFUSED, true, VERDICT_HOLD},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        struct http_answer a = {.retry_after_ms = -1, .refused_by_policy = rows[i].refused};
        struct err e = {rows[i].code, "the cause"}, why = {0, ""};

        assert_int_equal(http_verdict(&http_answers, &a, &e, &why), rows[i].want);
        assert_string_equal(why.text, "the cause");
        assert_int_equal(why.code, rows[i].code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_D10_to_D16_statuses),
        cmocka_unit_test(every_row_can_be_met),
        cmocka_unit_test(texts),
        cmocka_unit_test(no_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
