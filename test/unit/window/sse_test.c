/* A tail as server-sent events: pieces, and ids that say where the client is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "window/sse.h"

/* "<id> <length> <record>", as the format frames it. */
static void add(struct buf *body, const char *id, const char *record)
{
    assert_int_equal(buf_addf(body, "%s %zu %s", id, strlen(record), record), 0);
}

static void test_each_record_is_an_event_with_all_places(void **state)
{
    static const struct tail_range ranges[] = {{0xa, 2}, {0xb, 1}, {0xa, 1}};
    struct buf body = BUF_INIT(65536);
    struct sse *s = sse_create(0x10);
    struct tail_batch b = {.ranges = ranges};

    (void)state;
    assert_string_equal(sse_head(s).p, "retry: 2000\nid: 1;10;\n\n");
    add(&body, "00000000000000f1-0", "{\"time\":\"2023-11-14T22:13:20Z\",\"message\":\"a\"}");
    add(&body, "00000000000000f1-2a", "{\"time\":\"2023-11-14T22:13:21.5Z\",\"message\":\"b\"}");
    add(&body, "00000000000000f2-7", "{\"time\":\"2023-11-14T22:13:22Z\",\"message\":\"c\"}");
    add(&body, "00000000000000f1-99", "{\"event\":\"gap\",\"bytes\":5}");
    b.body = buf_str(&body);
    assert_string_equal(
        sse_next(s, &b, true).p,
        "id: 1;10;a.f1.0.6553f100\ndata: {\"time\":\"2023-11-14T22:13:20Z\",\"message\":\"a\"}\n\n"
        "id: 1;10;a.f1.2a.6553f101\ndata: "
        "{\"time\":\"2023-11-14T22:13:21.5Z\",\"message\":\"b\"}\n\n"
        "id: 1;10;a.f1.2a.6553f101,b.f2.7.6553f102\n"
        "data: {\"time\":\"2023-11-14T22:13:22Z\",\"message\":\"c\"}\n\n"
        "data: {\"event\":\"gap\",\"bytes\":5}\n\n");
    assert_int_equal(sse_next(s, &b, false).len, 0);
    buf_release(&body);
    sse_free(s);
}

static void test_an_id_comes_back(void **state)
{
    struct sse *s = sse_create(1);
    struct err e;
    unsigned n;

    (void)state;
    assert_int_equal(sse_resume(s, STR("1;10;a.f1.2a.6553f101,ffffffffffffffff.f2.7.6553f102"), &e),
                     0);
    assert_int_equal(sse_since(s), 0x10);
    assert_non_null(sse_places(s, &n));
    assert_int_equal(n, 2);
    assert_true(sse_place(s, 0xa)->off == 0x2a && sse_place(s, 0xa)->second == 0x6553f101);
    assert_true(sse_place(s, UINT64_MAX)->segment == 0xf2);
    assert_null(sse_place(s, 0xb));
    assert_string_equal(
        sse_head(s).p, "retry: 2000\nid: 1;10;a.f1.2a.6553f101,ffffffffffffffff.f2.7.6553f102\n\n");
    sse_free(s);
}

static void test_others_are_refused(void **state)
{
    static const char *const wrong[] = {"",
                                        "1",
                                        "1;",
                                        "2;10;",
                                        "1;g;",
                                        "1;10;a",
                                        "1;10;a.b.c",
                                        "1;10;a.b.c.d.e",
                                        "1;10;a.b.c.-1",
                                        "1;10;a.b.c.d,a.b.c.d",
                                        "1;ffffffffffffffff;",
                                        "1;10000000000000000;",
                                        "1;10;..."};
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct sse *s = sse_create(1);

        if (sse_resume(s, str_of(wrong[i]), &e) == 0)
            fail_msg("'%s' was taken", wrong[i]);
        sse_free(s);
    }
}

static void test_a_long_batch_comes_in_pieces(void **state)
{
    static const struct tail_range range = {0xa, 5000};
    struct buf body = BUF_INIT(16 * 1024 * 1024);
    struct sse *s = sse_create(1);
    struct tail_batch b = {.ranges = &range};
    unsigned events = 0, pieces = 0;
    struct str piece;

    (void)state;
    for (unsigned i = 0; i < 5000; i++) {
        char id[40];

        (void)snprintf(id, sizeof(id), "00000000000000f1-%x", i);
        add(&body, id, "{\"time\":\"2023-11-14T22:13:20Z\",\"message\":\"x\"}");
    }
    b.body = buf_str(&body);
    while ((piece = sse_next(s, &b, pieces == 0)).len) {
        assert_true(piece.len < 128 * 1024);
        for (size_t i = 0; i + 1 < piece.len; i++)
            events += piece.p[i] == '\n' && piece.p[i + 1] == '\n';
        pieces++;
    }
    assert_int_equal(events, 5000);
    assert_true(pieces > 4);
    buf_release(&body);
    sse_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_record_is_an_event_with_all_places),
        cmocka_unit_test(test_an_id_comes_back),
        cmocka_unit_test(test_others_are_refused),
        cmocka_unit_test(test_a_long_batch_comes_in_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
